#!/bin/bash
# What is installed can be used: install.sh BUILD CC CXX. Installs into a folder, moves it, builds and runs a program
# against it, by pkg-config and by CMake, in C and C++, shared and static; looks at the shared library's symbols, the
# manual pages, the completion and the Debian package. CXX is empty where there is no C++ compiler.
set -u
build=$(realpath "$1") cc=$2 cxx=$3
here=$(dirname "$(realpath "$0")")
export LC_ALL=C
unset DESTDIR LD_LIBRARY_PATH PKG_CONFIG_PATH CFLAGS CXXFLAGS LDFLAGS
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
cd "$temporary" || exit 1
passed=0 failed=0

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >out 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        tail -n 20 out | sed 's/^/    /'
    fi
}

# --- into a folder, which is moved afterwards ---
check "cmake --install" cmake --install "$build" --prefix "$temporary/first"
mv first moved
pc=$(find "$temporary/moved" -name convpool.pc)
if [ -z "$pc" ]; then
    echo "no convpool.pc is installed"
    exit 1
fi
lib=$(dirname "$(dirname "$pc")")
prints() { # TEXT COMMAND...
    local text=$1
    shift
    [ "$("$@")" = "$text" ]
}

# --- the shared library ---
soname() {
    readelf -d "$lib/libconvpool.so" | grep -q 'SONAME.*\[libconvpool\.so\.0\]' && [ -L "$lib/libconvpool.so.0" ]
}
# Exactly what the header declares.
exported() {
    nm -D --defined-only "$lib/libconvpool.so" | awk '{ print $3 }' | grep -v '^__' | sort -u >exported
    tr '\n' ' ' <"$temporary/moved/include/convpool.h" | grep -oE 'CP_API [^(;]*\(' | grep -oE 'cp_[a-z0-9_]+\($' |
        tr -d '(' | sort -u >declared
    [ "$(wc -l <declared)" -gt 50 ] && diff declared exported
}
check "soname" soname
check "exports what the header declares, and nothing else" exported

# --- pkg-config: the one found here only ---
export PKG_CONFIG_LIBDIR=$lib/pkgconfig
# needs PROGRAM: whether it is linked with the shared library
needs() {
    readelf -d "$1" | grep -q 'NEEDED.*\[libconvpool\.so\.0\]'
}
by_pkg_config() { # LANGUAGE COMPILER shared|static
    local flags how=()
    [ "$3" = shared ] || how=(--static)
    flags=$(pkg-config "${how[@]}" --cflags --libs convpool) || return 1
    # shellcheck disable=SC2086 # the flags are several
    "$2" -x "$1" "$here/program.c" -x none -Wall -Wextra -Werror $flags ${how:+-static} -o program || return 1
    if [ "$3" = shared ]; then
        needs program && LD_LIBRARY_PATH=$lib ./program
    else
        ! needs program && ./program
    fi
}
check "pkg-config knows the version" prints "$(sed -nE 's/.*CP_VERSION "(.*)"/\1/p' moved/include/convpool.h)" \
    pkg-config --modversion convpool
for how in shared static; do
    check "pkg-config, C, $how" by_pkg_config c "$cc" $how
    [ -z "$cxx" ] || check "pkg-config, C++, $how" by_pkg_config c++ "$cxx" $how
done

# --- CMake ---
by_cmake() {
    local how=()
    [ -z "$cxx" ] || how=(-DCXX=ON "-DCMAKE_CXX_COMPILER=$cxx")
    cmake -G Ninja -S "$here" -B program-build "-DCMAKE_C_COMPILER=$cc" "-DCMAKE_PREFIX_PATH=$temporary/moved" "${how[@]}" &&
        cmake --build program-build
}
runs() { # PROGRAM
    if [[ $1 = *_shared ]]; then needs "program-build/$1"; else ! needs "program-build/$1"; fi && "program-build/$1"
}
check "CMake" by_cmake
for how in shared static; do
    check "CMake, C, $how" runs c_$how
    [ -z "$cxx" ] || check "CMake, C++, $how" runs cxx_$how
done

# --- the tool, its pages and its completion ---
tool=moved/bin/convpool
pages=moved/share/man/man1
page_of_each_command() {
    local command
    [ -s $pages/convpool.1 ] || return 1
    for command in $($tool --help | sed -nE 's/^  ([a-z]+)  .*/\1/p'); do
        grep -q '^\.TP' "$pages/convpool-$command.1" || [ "$command" = bench ] || return 1
    done
}
# Every option of the help stands in the page.
options_in_page() {
    local option
    for option in $($tool train --help | sed -nE 's/^ +(-., )?(--[a-z-]+).*/\2/p'); do
        sed 's/\\//g' $pages/convpool-train.1 | grep -qE "^\.B (-., )?$option" || { echo "$option" && return 1; }
    done
}
# groff warns of what it does not understand.
well_formed() {
    local page
    for page in $pages/*.1; do
        [ -z "$(groff -man -ww -Tascii "$page" 2>&1 >/dev/null)" ] || { echo "$page" && return 1; }
    done
}
# complete WORD...: what bash offers for the last one
complete_words() {
    bash -c '. "$0"; COMP_WORDS=(convpool "$@"); COMP_CWORD=$#; compopt() { :; }; _convpool; echo "${COMPREPLY[*]}"' \
        moved/share/bash-completion/completions/convpool "$@"
}
if [ -x $tool ]; then
    check "the tool runs" $tool --version
    check "a page for each command" page_of_each_command
    check "the page has the options" options_in_page
    if command -v groff >/dev/null; then check "the pages are well formed" well_formed; fi
    check "completes commands" prints "summary" complete_words su
    check "completes options" prints "--epochs=" complete_words train --ep
    check "completes words behind commands" prints "ops" complete_words bench o
    check "leaves files to bash" prints "" complete_words predict mod
fi

# --- the Debian package ---
package() {
    cpack --config "$build/CPackConfig.cmake" -G DEB -B "$temporary/package" && mv package/*.deb convpool.deb
}
contains() {
    local path
    dpkg-deb -c convpool.deb >list || return 1
    for path in include/convpool.h lib/.*libconvpool.a lib/.*libconvpool.so.0 lib/.*convpool.pc bin/convpool \
        lib/.*convpool-config.cmake share/man/man1/convpool-train.1 share/doc/convpool/copyright; do
        grep -qE " \./usr/$path( -> .*)?$" list || { echo "$path" && return 1; }
    done
}
unpacked() {
    dpkg-deb -x convpool.deb scratch && scratch/usr/bin/convpool --version &&
        dpkg-deb -f convpool.deb Depends | grep -q libc6
}
if command -v dpkg-deb dpkg-shlibdeps file | wc -l | grep -q 3 && [ -x $tool ]; then
    check "a Debian package" package
    check "the package has everything" contains
    check "the package can be unpacked and used" unpacked
else
    echo "NOT TESTED: the Debian package, without dpkg-deb, dpkg-shlibdeps (dpkg-dev) and file"
fi

[ -n "$cxx" ] || echo "NOT TESTED: C++, without a compiler for it"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -ge 12 ]
