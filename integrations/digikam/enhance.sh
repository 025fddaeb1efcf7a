# For digiKam's Batch Queue Manager: the text of the tool "User Shell Script", to be pasted as it is.
# digiKam puts the file names, in double quotes, where the two names in capitals stand. A here-document takes them as
# they are, while in a command the shell would run what a name such as "$(...)" says.
{ IFS= read -r source && IFS= read -r result; } <<'NAMES'
$INPUT
$OUTPUT
NAMES
source=${source#\"} result=${result#\"}
"${NULI:-nuli}" enhance --no-journal --mode soft -o "${result%\"}" -- "${source%\"}"
