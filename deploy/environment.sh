#!/usr/bin/env bash
# Creates .venv and installs from a lock file: `environment.sh run` for the product, `environment.sh evals` for evals too,
# `environment.sh dev` for tests as well.
# Needs a Python >= 3.11 and a package index; takes uv from the index when it is not on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?run, evals or dev}
venv=.venv
say() { printf 'setup: %s\n' "$*" >&2; }

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.11 python3.12 python3.13; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    say "no Python 3.11 or newer found; install one or set PYTHON=/path/to/python3"
    return 1
}

create() {
    local python=$1
    if command -v uv >/dev/null; then
        uv venv -q --seed --python "$python" "$venv"
    elif ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        rm -rf "$venv"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "installing the system's venv module"
            apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
            "$python" -m venv "$venv"
        else
            say "this Python cannot create virtual environments; install python3-venv (or uv) and try again"
            return 1
        fi
    fi
}

# uv reads its own variables only: hand it the index that pip is set up with.
export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-}}
[ -n "$UV_DEFAULT_INDEX" ] || unset UV_DEFAULT_INDEX
export UV_LINK_MODE=${UV_LINK_MODE:-copy}
# A mirror behind a company's own authority is trusted when the system trusts it.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}

need_git() {
    # The tests have a foreign MCP server work on a repository.
    if command -v git >/dev/null; then
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing git"
        apt-get update -qq && apt-get install -y -qq git >/dev/null
    else
        say "the tests need git: install it and try again"
        return 1
    fi
}

install_foreign() {
    # MCP servers that others wrote, in Node, which comes from the package index too. Its npm does not look for the
    # settings of the system's by itself, nor trust what the system trusts.
    local settings
    for settings in /usr/etc/npmrc /etc/npmrc; do
        [ ! -f "$settings" ] || export NPM_CONFIG_GLOBALCONFIG=${NPM_CONFIG_GLOBALCONFIG:-$settings}
    done
    say "installing from tests/foreign/package-lock.json"
    (cd tests/foreign && NODE_USE_SYSTEM_CA=1 PATH="$VIRTUAL_ENV/bin:$PATH" npm ci --no-progress >/dev/null)
}

need_openmp() {
    # The language model's engine is built against the system's OpenMP runtime.
    if PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1'; then
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing libgomp1"
        apt-get update -qq && apt-get install -y -qq libgomp1 >/dev/null
    else
        say "the embedded language model needs libgomp.so.1: install libgomp1 (Debian, Ubuntu) or libgomp"
    fi
}

lock=requirements.lock
[ "$kind" = run ] || lock=requirements-$kind.lock
if [ ! -x "$venv/bin/python" ]; then
    say "creating $venv"
    create "$(find_python)"
fi
if [ ! -x "$venv/bin/uv" ]; then
    pin=$(sed -nE 's/^(uv==[0-9.]+).*/\1/p' requirements.lock)
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$pin" 2>/dev/null ||
        uv pip install -q --python "$venv/bin/python" "$pin"
fi
need_openmp
say "installing from $lock"
export VIRTUAL_ENV=$PWD/$venv
"$venv/bin/uv" pip install -q --require-hashes --no-deps --compile-bytecode -r "$lock"
"$venv/bin/uv" pip install -q --no-deps -e .
if [ "$kind" = dev ]; then
    need_git
    install_foreign
fi
touch "$venv/.ready-$kind"
# What the other locks install covers what the product needs: all were resolved together.
[ "$kind" = run ] || touch "$venv/.ready-run"
[ "$kind" != dev ] || touch "$venv/.ready-evals"
