#!/usr/bin/env bash
# The browser tests drive Chromium. Root gets it from the distribution when it is missing; others are told how.
set -euo pipefail
for name in "${CHROMIUM:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome; do
    [ -n "$name" ] && [ -x "$name" ] && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium and Chinese fonts for the browser tests …"
    export DEBIAN_FRONTEND=noninteractive
    patient=(-o Acquire::Retries=4 -o Acquire::http::Timeout=60 -o DPkg::Lock::Timeout=300)
    apt-get "${patient[@]}" update -qq </dev/null && apt-get "${patient[@]}" install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null </dev/null && exit 0
fi
echo "The browser tests need Chromium and Chinese fonts. Install them once:"
echo "    sudo apt-get install chromium fonts-noto-cjk"
echo "or name a Chromium in CHROMIUM=/path/to/chromium. Without them: make test TESTS='--ignore=tests/browser'"
exit 1
