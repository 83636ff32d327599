"""Make .venv and put requirements/NAME.txt and this checkout into it, unless that has been done already.

Runs on any Python 3, so that one which is too old can be told so in a sentence.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
OLDEST = (3, 11)


def main(name):
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Livebell needs Python 3.11 or later, this is {found}. Say which: PYTHON=python3.11 make …")
    requirements = os.path.join(ROOT, "requirements", name + ".txt")
    stamp = os.path.join(VENV, name + ".stamp")
    wanted = fingerprint(name)
    if read(stamp) == wanted:
        return
    if not usable():
        create()
    print(f"Installing requirements/{name}.txt into .venv …", flush=True)
    pip("install", "-qq", "--requirement", requirements, "--editable", ROOT)
    with open(stamp, "w") as file:
        file.write(wanted)


def fingerprint(name):
    """Changes with whatever the installation depends on, also when the checkout is moved or copied."""
    files = ["pyproject.toml", *with_included(f"requirements/{name}.txt")]
    digest = hashlib.sha256(f"{ROOT} {os.path.realpath(sys.executable)} {sys.version}".encode())
    for file in files:
        digest.update(read(os.path.join(ROOT, file)).encode())
    return digest.hexdigest()


def with_included(file):
    """A requirements file, and those that it includes."""
    found = [file]
    for line in read(os.path.join(ROOT, file)).splitlines():
        if line.startswith("-r "):
            found += with_included(os.path.join(os.path.dirname(file), line[3:].strip()))
    return found


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def usable():
    """Whether .venv is of this Python, and of this place: a copied one still points to the old."""
    question = "import sys; print(sys.prefix, sys.version)"
    try:
        answer = subprocess.run([PYTHON, "-c", question], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.strip() == f"{VENV} {sys.version}" and os.path.exists(os.path.join(VENV, "bin", "pip"))


def create():
    print("Making .venv …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], check=False)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"{sys.executable} can't make a virtual environment (on Debian: apt install python3-venv).")


def pip(*arguments):
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    installed = subprocess.run([PYTHON, "-m", "pip", *arguments], env=environment, check=False)
    if installed.returncode:
        sys.exit("pip could not install what is needed; its message is above.")


if __name__ == "__main__":
    main(*sys.argv[1:])
