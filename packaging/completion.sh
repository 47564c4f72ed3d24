#!/bin/bash
# Completion for bash from the tool's own help: completion.sh TOOL FILE.
set -eu -o pipefail
tool=$1 file=$2
. "$(dirname "$0")/help.sh"

in_a_row() {
    tr '\n' ' ' | sed 's/ $//'
}
options() { # COMMAND...: with = behind those that take a value
    help_of "$@" | sed -nE 's/^ +(-., )?(--[a-z0-9-]+=?).*/\2/p' | sort -u | in_a_row
}
cases_of_options() {
    local command sub
    for command in $(commands); do
        for sub in $(subcommands "$command"); do
            echo "        '$command $sub') words='$(options "$command" "$sub")' ;;"
        done
        echo "        '$command '*) words='$(options "$command")' ;;"
    done
}
cases_of_subcommands() {
    local command words
    for command in $(commands); do
        words=$(subcommands "$command" | in_a_row)
        [ -z "$words" ] || echo "        $command) words='$words' ;;"
    done
}

mkdir -p "$(dirname "$file")"
cat >"$file" <<END
# bash completion of convpool, made from its help. Where it knows no word, bash completes names of files.
_convpool() {
    local word=\${COMP_WORDS[COMP_CWORD]} words=
    if [[ \$word = -* ]]; then
        case "\${COMP_WORDS[1]} \${COMP_WORDS[2]-}" in
$(cases_of_options)
        *) words='--help --version' ;;
        esac
    elif [ "\$COMP_CWORD" = 1 ]; then
        words='$(commands | in_a_row)'
    elif [ "\$COMP_CWORD" = 2 ]; then
        case "\${COMP_WORDS[1]}" in
$(cases_of_subcommands)
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "\$words" -- "\$word")
    # The value follows at once.
    if [[ \${COMPREPLY[0]-} = *= ]]; then compopt -o nospace; fi
}
complete -o default -F _convpool convpool
END
