/* What Debian's C libraries for other machines lack. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __wasi__
/* compiler-rt for WebAssembly expects these two from it. */
extern uintptr_t __stack_chk_guard;
void __stack_chk_fail(void);

uintptr_t __stack_chk_guard = 0x5bd1e995;

void __stack_chk_fail(void) {
    __builtin_trap();
}
#endif

#ifdef __NEWLIB__
/* newlib's aligned_alloc calls this, which only systems with POSIX have. */
#include <malloc.h>

int posix_memalign(void **memory, size_t alignment, size_t bytes);

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    *memory = memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}
#endif
