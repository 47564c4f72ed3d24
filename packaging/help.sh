# The tool's help as text to be worked on: what manual.sh and completion.sh share. They set tool before they source it.
export LC_ALL=C

# help_of COMMAND...: one line for each option and paragraph, however long.
help_of() {
    ARGP_HELP_FMT=rmargin=2000 "$tool" "$@" --help
}
commands() {
    help_of | sed -nE 's/^  ([a-z-]+) {2,}.*/\1/p'
}
# subcommands COMMAND: those that the command's help refers to: 'convpool bench ops --help'.
subcommands() {
    help_of "$1" | { grep -oE "'convpool $1 [a-z]+ --help'" || true; } | cut -d' ' -f3 | uniq
}
