# Installs what is missing and builds, with the noise in a log: what run.sh, test.sh and .ci/run share. They source it
# in the project's folder.

packages=(gcc libc6-dev cmake ninja-build pkgconf libpng-dev libjpeg-dev zlib1g-dev libjansson-dev libcmocka-dev)
modules=(libpng libjpeg zlib jansson cmocka) # what pkg-config must know of them

mkdir -p build
log=build/log.txt
: >"$log"

# quietly TEXT COMMAND...: runs the command with its output in the log; where it fails, what went wrong is shown.
quietly() {
    local text=$1 start=$SECONDS status=0 before
    shift
    before=$(wc -l <"$log")
    printf '%s ... ' "$text"
    echo "== $text: $*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null || status=$?
    if [ "$status" != 0 ]; then
        echo "failed. From $PWD/$log:"
        tail -n +"$((before + 1))" "$log" | grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' | tail -n 60
        exit "$status"
    fi
    echo "done ($((SECONDS - start)) s)"
}

available() {
    command -v "$1" >/dev/null
}
installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt() { # as root, or through sudo
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}
install_with_apt() {
    apt update && apt install -y --no-install-recommends "$@"
}

# install_packages PACKAGE...: installs those that are missing. Where that is impossible it names them and goes on: the
# build says what it cannot do without.
install_packages() {
    local package missing=()
    if ! available apt-get; then
        if ! { available cc && available cmake && available ninja && pkg-config --exists "${modules[@]}"; }; then
            echo "Convpool needs a C compiler, CMake 3.25, Ninja, pkg-config, libpng, libjpeg, zlib, jansson and cmocka;"
            echo "in Debian they are called: $*"
        fi
        return
    fi
    for package; do
        installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" != 0 ] || return 0
    if [ "$(id -u)" != 0 ] && ! { available sudo && sudo true; }; then
        echo "Not installed: ${missing[*]}; going on without. As root: apt-get install ${missing[*]}"
        return
    fi
    quietly "Installing ${missing[*]}" install_with_apt "${missing[@]}"
}

# build PRESET [ARGUMENT OF cmake --build]...
configure_and_build() {
    cmake --preset "$1" && cmake --build --preset "$@"
}
build() {
    local preset=$1
    shift
    available cmake || { echo "CMake is missing"; exit 1; }
    quietly "Building (build/$preset)" configure_and_build "$preset" "$@"
}
