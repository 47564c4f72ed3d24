/* What Debian's compiler-rt for WebAssembly expects from a C library, and wasi-libc has not. */
#include <stdint.h>

extern uintptr_t __stack_chk_guard;
void __stack_chk_fail(void);

uintptr_t __stack_chk_guard = 0x5bd1e995;

void __stack_chk_fail(void) {
    __builtin_trap();
}
