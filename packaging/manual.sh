#!/bin/bash
# Manual pages from the tool's own help: manual.sh TOOL FOLDER writes convpool.1 and a page for each command.
set -eu -o pipefail
tool=$1 folder=$2
. "$(dirname "$0")/help.sh"
version=$("$tool" --version)

# Of a help text either the lines of usage or the rest, as roff. Options and commands stand in the left column.
to_roff() { # PART
    awk -v part="$1" '
        function plain(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            sub(/^[.\x27]/, "\\\\\\&&", text)
            return text
        }
        /^(Usage:|  or:)/ {
            sub(/^(Usage:|  or:) */, "")
            if (part == "usage") print plain($0) "\n.br"
            next
        }
        part == "usage" || /^Mandatory or optional arguments to long options/ { next }
        /^ +-/ || /^  [a-z]+  / {
            sub(/^ +/, "")
            gap = match($0, /  +/)
            print ".TP\n.B " plain(gap ? substr($0, 1, gap - 1) : $0)
            if (gap) print plain(substr($0, gap + RLENGTH))
            listing = 1
            next
        }
        /^          / && listing { sub(/^ +/, ""); print plain($0); next }
        /^ *$/ { listing = 0; print ".PP"; next }
        { if (listing) print ".PP"; listing = 0; print plain($0) }'
}
page() { # TITLE SUMMARY COMMAND...
    local title=$1 summary=$2 sub help
    shift 2
    help=$(help_of "$@")
    printf '.TH %s 1 "" "%s" "Convpool"\n.nh\n.ad l\n.SH NAME\n%s \\- %s\n' "${title^^}" "$version" "$title" "$summary"
    printf '.SH SYNOPSIS\n'
    to_roff usage <<<"$help"
    printf '.SH DESCRIPTION\n'
    to_roff rest <<<"$help"
    if [ $# = 1 ]; then
        for sub in $(subcommands "$1"); do
            help=$(help_of "$1" "$sub")
            printf '.SH %s\n' "${1^^} ${sub^^}"
            to_roff usage <<<"$help"
            printf '.PP\n'
            to_roff rest <<<"$help"
        done
    fi
    printf '.SH SEE ALSO\n'
    printf '.BR %s (1)\n' $([ $# = 0 ] && commands | sed 's/^/convpool\\-/' || echo convpool)
}

rm -rf "$folder"
mkdir -p "$folder"
page convpool "convolution and pooling, from the definition to a trained network" >"$folder/convpool.1"
for command in $(commands); do
    summary=$(help_of | sed -nE "s/^  $command {2,}//p")
    page "convpool-$command" "$summary" "$command" >"$folder/convpool-$command.1"
done
