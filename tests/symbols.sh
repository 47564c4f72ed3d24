#!/bin/bash
# What the library's objects define and need: symbols.sh NM ARCHIVE [minimal]. All that is visible to the linker begins with cp_;
# nothing ends the program, prints, or touches signals, locale and the C library's hidden random state.
set -u
nm=$1 archive=$2 kind=${3:-}
export LC_ALL=C

banned=" abort exit _exit _Exit quick_exit atexit __assert_fail raise kill signal sigaction system fork
 printf vprintf puts putchar putc perror fprintf vfprintf __printf_chk __vprintf_chk __fprintf_chk __vfprintf_chk
 stdin stdout stderr setlocale rand srand random srandom strtok localtime gmtime "
# A minimal library needs no operating system: neither threads nor files, streams, environment, clock, mapped memory.
if [ "$kind" = minimal ]; then
    exceptions=
    banned+=" getenv secure_getenv open open64 openat read write close lseek stat fstat lstat rename unlink fsync flock
 fopen fopen64 fclose fread fwrite fflush mmap munmap madvise syscall sched_yield getpid uname clock_gettime time clock
 gettimeofday pthread_create pthread_join pthread_once pthread_mutex_lock pthread_mutex_unlock pthread_sigmask
 __tls_get_addr "
fi
banned=$(echo "$banned" | tr -s '[:space:]' ' ')
# CONVPOOL_VERBOSE=1 lets the planner tell on stderr which algorithm it takes.
exceptions=" system.c.o:stderr system.c.o:vfprintf system.c.o:__vfprintf_chk "

listing=$("$nm" -A -g "$archive") || exit 1
defined=0 needed=0 wrong=0
refuse() {
    echo "$*"
    wrong=$((wrong + 1))
}

# A line is "libconvpool.a:OBJECT:[ADDRESS] KIND NAME"; names beginning with __ in .data are a sanitizer's.
while read -r object kind name; do
    if [ "$kind" = U ]; then
        needed=$((needed + 1))
        [[ "$banned" = *" $name "* && "$exceptions" != *" $object:$name "* ]] && refuse "$object uses $name"
    else
        defined=$((defined + 1))
        [[ $name = cp_* || $name = __* ]] || refuse "$object defines $name, which does not begin with cp_"
    fi
done < <(sed -nE 's/^[^:]*:([^:]+):[0-9a-f ]* ([A-Za-z]) ([^@ ]+).*$/\1 \2 \3/p' <<<"$listing")

echo "$defined symbols defined, $needed needed, $wrong wrong"
[ "$defined" -gt 100 ] && [ "$needed" -gt 100 ] && [ "$wrong" = 0 ]
