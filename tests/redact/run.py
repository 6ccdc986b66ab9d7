#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the build directory. Out: whether mspd_redact_to() takes out what slow
regular expressions take out, written here from the same words and sharing
nothing with it. Must never call a text equal that was not compared.

    COUNT=20000 SEED=1   random texts
"""
import os
import random
import re
import subprocess
import sys
import time

MARK = "[REDACTED]"
I = re.IGNORECASE | re.ASCII
BLANK = "[ \t-\r]"
# Quoted, with a backslash keeping a quote from ending it; or bare.
QUOTED = r"""(?:"(?:[^"]|(?<=\\)")+|'(?:[^']|(?<=\\)')+"""
ASSIGN = rf"""["']?{BLANK}*[=:](?:[=>]|(?![=>])){BLANK}*(?!{BLANK})"""
PASSWORD = rf"""{QUOTED}|(?!["'])[^ \t-\r]+)"""
VALUE = rf"""{QUOTED}|(?!["'])[^ \t-\r&;,"']+)"""
J = "[ _-]?"
NEAR = "(?:key|access|sas|shared|secret|password|pwd|pswd|credential)"
BASE64 = "[A-Za-z0-9+/]"
SECRET_WORD = (f"(?:(?:app|application|client|api){J}(?:key|secret)|"
               f"(?:refresh|twilio){J}(?:token|sid)|secret|token)")
PASS_WORD = ("(?:(?:password|pwd)(?!=)|passwd|pswd|passphrase|"
             "(?<![A-Za-z0-9])pass)")
OPTION = (f"(?:password|passwd|pswd|pwd|passphrase|secret|token|sas|"
          f"(?:api|access|account){J}key)")

# Whole match, wherever one begins: the first documented, then what they miss.
PATTERNS = [re.compile(p, f) for p, f in [
    (r"pwd=[^;]*", I),
    (r"password=[^;]*", I),
    (r"accountkey=[^;]*", I),
    (r"primarykey=[^;]*", I),
    (r"secondarykey=[^;]*", I),
    (r"sig=[^&]*", I),
    (r"[A-Za-z0-9]{33}AzCa[A-P][A-Za-z0-9]{5}=", 0),
    (r"[A-Za-z0-9]{44}AzCa[A-Za-z0-9]{5}[AQgw]", 0),
    (r"BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY"
     r"(?![A-Z ])|[\s\S]*)", 0),
    (r"(?:token|ado|vsts|azuredevops|visualstudio\.com|dev\.azure\.com|pat)"
     r"[\s\S][a-z2-7]{52}", I),
    (rf"{NEAR}[\s\S]{{0,200}}(?![A-Za-z0-9+/])[\s\S]{BASE64}{{43}}=", I),
    (rf"{NEAR}[\s\S]{{0,200}}(?![A-Za-z0-9+/])[\s\S]{BASE64}{{86}}=", I),
    (rf"(?:secret|access{J}(?:key|token))[\s\S]{{0,10}}(?![A-Za-z0-9+/])[\s\S]"
     rf"{BASE64}{{40}}(?:$(?!\n)|[^A-Za-z0-9_])", I),
    (rf"{SECRET_WORD}{ASSIGN}{VALUE}", I),
    (rf"{PASS_WORD}{ASSIGN}{PASSWORD}", I),
    (r"eyJ[A-Za-z0-9_%-]+\.eyJ[A-Za-z0-9_%.=-]*", 0),
    (r"(?<![A-Za-z0-9+.-])[a-z][a-z0-9+.-]*://[^ \t-\r/?#\"'<>:]*:"
     r"[^ \t-\r/?#\"'<>]+@[^ \t-\r/?#\"'<>]*", I),
    (rf"(?:password|pwd|(?:account|primary|secondary)key)={QUOTED})", I),
    (rf"authorization{ASSIGN}[^\r\n]+", I),
    (r"(?<![0-9a-f])[0-9a-f]{64,}", I),
]]
# Only the value, which the group holds.
OPTIONS = re.compile(
    rf"(?:^(?<!\n)|(?<=[ \t-\r]))(?=-)[A-Za-z0-9_.-]*{OPTION}"
    rf"(?![A-Za-z0-9_.-])(?:(?<!password)(?<!pwd)=|{BLANK}+)({PASSWORD})", I)


def redact(text):
    """Every match of every pattern at every place, taken together."""
    secret = bytearray(len(text))
    for pattern in PATTERNS:
        for i in range(len(text)):
            found = pattern.match(text, i)
            if found:
                secret[i:found.end()] = b"\1" * (found.end() - i)
    for i in range(len(text)):
        found = OPTIONS.match(text, i)
        if found:
            start, end = found.span(1)
            secret[start:end] = b"\1" * (end - start)
    out = []
    for i, c in enumerate(text):
        if not secret[i]:
            out.append(c)
        elif i == 0 or not secret[i - 1]:
            out.append(MARK)
    return "".join(out)


# ---- texts -----------------------------------------------------------------
WORDS = ["pwd", "password", "passwd", "pass", "PASSWORD", "passphrase", "pswd",
         "AccountKey", "primarykey", "SecondaryKey", "sig", "SIG", "AzCa",
         "token", "ado", "vsts", "azuredevops", "dev.azure.com", "pat",
         "visualstudio.com", "key", "access", "sas", "shared", "secret",
         "credential", "access_key", "access token", "api-key", "apikey",
         "client secret", "applicationkey", "app_secret", "refresh_token",
         "twilio-sid", "authorization", "Authorization: Bearer ", "eyJ",
         ".eyJ", "BEGIN ", "RSA PRIVATE KEY", "-----END ", "-----", "https://",
         "u:p@h", "user", "--password", "--db-password", "--token",
         "--api-key", "--no-", "-x", "-file", "grüße", "日本", "x", "curl",
         "Metadata:true", "http://169.254.169.254/metadata"]
GLUE = ["=", ":", " ", "  ", ";", "&", ",", '"', "'", "\\", "\n", "\r", "\t",
        "-", "_", "/", "@", "?", "=>", ":=", " = ", " : ", "%", ".", "+", ""]
ALPHABETS = {
    "hex": "0123456789abcdefABCDEF",
    "base32": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ234567",
    "base64": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
              "0123456789+/",
    "alnum": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}
LENGTHS = {"hex": [63, 64, 65, 128], "base32": [51, 52, 53],
           "base64": [39, 40, 41, 42, 43, 44, 85, 86, 87],
           "alnum": [1, 5, 6, 33, 34, 44, 45]}


def blob(rng):
    kind = rng.choice(list(ALPHABETS))
    n = rng.choice(LENGTHS[kind])
    return "".join(rng.choice(ALPHABETS[kind]) for _ in range(n)) + \
        rng.choice(["", "=", "==", " "])


def azure_key(rng):
    def some(n):
        return "".join(rng.choice(ALPHABETS["alnum"]) for _ in range(n))
    if rng.random() < 0.5:
        return some(rng.choice([32, 33, 33])) + "AzCa" + \
            rng.choice("APQ1") + some(5) + "="
    return some(rng.choice([43, 44, 44])) + "AzCa" + some(5) + \
        rng.choice("AQgwB")


def text(rng):
    out = []
    for _ in range(rng.randint(1, 14)):
        what = rng.random()
        if what < 0.45:
            out.append(rng.choice(WORDS))
        elif what < 0.75:
            out.append(rng.choice(GLUE))
        elif what < 0.93:
            out.append(blob(rng))
        elif what < 0.97:
            out.append(azure_key(rng))
        else:
            out.append("." * rng.choice([9, 10, 11, 190, 195, 199, 200, 201]))
        if rng.random() < 0.5:
            out.append(rng.choice(GLUE))
    return "".join(out)


# ---- the suite -------------------------------------------------------------
def run(program, texts):
    data = b"".join(t.encode() + b"\0" for t in texts)
    done = subprocess.run([program], input=data, stdout=subprocess.PIPE,
                          check=True)
    got = done.stdout.decode().split("\0")
    assert got.pop() == "" and len(got) == len(texts)
    return got


def compare(program, texts):
    """How many differ."""
    bad = 0
    for before, got in zip(texts, run(program, texts)):
        expected = redact(before)
        if got == expected:
            continue
        bad += 1
        if bad <= 5:
            print(f"  FAILED  {before!r}\n    expected {expected!r}\n"
                  f"    got      {got!r}")
    return bad


def slow(program):
    """Shapes that make a naive scanner quadratic: eight times the text may
    not take anything like 64 times as long."""
    shapes = ["pwd=", "password:", "token=x ", "eyJ", "BEGIN ", "key ",
              "BEGIN PRIVATE KEY-----", "-----END ", "a://", "password\"",
              "password: \"", "sig=", "authorization:", "--token ", "A ",
              "secret" + " " * 50, "a" * 43 + "=", "key " + "a" * 43,
              "-" * 64, "user:p@", "accesskey", "\\\"", "f" * 63 + " ",
              "key" * 60 + "a" * 43 + "="]
    bad = 0
    for shape in shapes:
        took = []
        for size in (1 << 17, 1 << 20):
            many = shape * (size // len(shape))
            before = time.monotonic()
            run(program, [many])
            took.append(time.monotonic() - before)
        if took[1] > 30 * took[0] + 0.5:
            bad += 1
            print(f"  FAILED  {shape!r}: {took[0]:.3f} s, "
                  f"then {took[1]:.3f} s")
    return len(shapes), bad


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    program = os.path.join(sys.argv[1], "tests/redact/filter")
    count = int(os.environ.get("COUNT") or 20000)
    rng = random.Random(int(os.environ.get("SEED") or 1))
    failed = compare(program, [text(rng) for _ in range(count)])
    passed = count - failed
    shapes, bad = slow(program)
    print(f"{passed + shapes - bad} passed, {failed + bad} failed, 0 skipped")
    return 1 if failed + bad else 0


if __name__ == "__main__":
    sys.exit(main())
