#!/bin/bash
# Who may include whom: directions.sh PROJECT. A folder's files include their own folder and, of the folders below it,
# the one header FOLDER/FOLDER.h; the kernels include nothing else; tool and examples see the public header only.
set -u
cd "$1" || exit 1
export LC_ALL=C

declare -A below=(
    [base]=""
    [tensor]="base"
    [ref]="base tensor"
    [kernels]=""
    [plan]="base tensor ref kernels"
    [op]="base tensor ref kernels plan"
    [graph]="base tensor ref kernels plan op"
    [file]="base tensor"
    [minimal]="base tensor file"
    [data]="base tensor file"
    [train]="base tensor ref kernels plan op graph file data"
    [onnx]="base tensor ref kernels plan op graph file"
    [explain]="base tensor ref kernels plan op graph"
)
# The system's headers that the kernels do without: no allocation, threads, errors, input or output.
banned_in_kernels=" stdlib.h malloc.h pthread.h threads.h stdio.h errno.h unistd.h convpool.h "

files=0 wrong=0
refuse() { # FILE INCLUDED
    echo "$1 must not include $2"
    wrong=$((wrong + 1))
}

allowed_in_source() { # FOLDER INCLUDED
    local folder=$1 included=$2 other
    case $included in
    convpool.h) [ "$folder" != kernels ] ;;
    */*)
        other=${included%%/*}
        [ "$other" = "$folder" ] || { [ "$included" = "$other/$other.h" ] && [[ " ${below[$folder]} " = *" $other "* ]]; }
        ;;
    *) [ -e "src/$folder/$included" ] ;;
    esac
}

# Lines "FILE "NAME"" or "FILE <NAME>".
includes() {
    grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*("[^"]*"|<[^>]*>)' "$@" |
        sed -E 's/:[^"<]*/ /'
}

for folder in src/*/; do
    folder=$(basename "$folder")
    if [ -z "${below[$folder]+known}" ]; then
        echo "src/$folder: no rule says what it may include"
        wrong=$((wrong + 1))
        continue
    fi
    while read -r file included; do
        files=$((files + 1))
        case $included in
        \"*) allowed_in_source "$folder" "${included//\"/}" || refuse "$file" "$included" ;;
        *) [ "$folder" = kernels ] && [[ "$banned_in_kernels" = *" ${included//[<>]/} "* ]] && refuse "$file" "$included" ;;
        esac
    done < <(includes src/"$folder"/*.[ch])
done

# The tool's own headers lie beside it. Examples include <convpool.h> as any program would.
while read -r file included; do
    files=$((files + 1))
    case $included in
    \"convpool.h\") [[ $file != examples/* ]] || refuse "$file" "$included" ;;
    \"*) [[ $file = cli/* && -e cli/${included//\"/} ]] || refuse "$file" "$included" ;;
    esac
done < <(includes cli/*.[ch] examples/*.c)

# The public header stands alone.
while read -r file included; do
    files=$((files + 1))
    case $included in
    "<stdbool.h>" | "<stddef.h>" | "<stdint.h>") ;;
    *) refuse "$file" "$included" ;;
    esac
done < <(includes include/*.h)

echo "$files includes, $wrong wrong"
[ "$files" -gt 100 ] && [ "$wrong" = 0 ]
