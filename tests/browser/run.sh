#!/usr/bin/env bash
# The tour of the tab in Chromium, once for each Python that is named, such as those of virtual environments with
# different versions of gradio:
#
#     tests/browser/run.sh [PYTHON...]
#
# Needs node, Chromium (CHROMIUM=path, or /usr/bin/chromium) and `npm install playwright-core axe-core` in this folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-7979}
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
for python in "${@:-python}"; do
    "$python" -c 'import gradio; print("gradio", gradio.__version__)'
    PYTHONPATH="$here/../.." "$python" -m nuli apply 'nuli1 exposure=-1.3' "$here/../photo.jpg" -o "$work/dark.png"
    PYTHONPATH="$here/../.." "$python" -m nuli ui --port "$port" --output "$work/saved" > "$work/log" 2>&1 &
    server=$!
    for _ in $(seq 120); do
        curl -fso /dev/null "http://127.0.0.1:$port/" && break
        sleep 1
    done
    node "$here/tour.mjs" "http://127.0.0.1:$port/" "$work/dark.png" ${SCREENSHOT:+"$SCREENSHOT"} || { cat "$work/log"; exit 1; }
    ls "$work"/saved/*.png > /dev/null
    kill "$server"
    wait "$server" 2> /dev/null || true
done
