#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the build directory. Out: whether mspd_redact_to() takes out what slow
regular expressions take out, written here from the same words and sharing
nothing with it. Must never call a text equal that was not compared.

    COUNT=5000 SEED=1   random texts
"""
import os
import random
import re
import resource
import subprocess
import sys

MARK = "[REDACTED]"
BORDER = "\x01"  # between the arguments of a command line
I = re.IGNORECASE | re.ASCII
BLANK = "[ \t-\r]"
# Quoted, with a backslash keeping a quote from ending it; escaped itself; bare.
QUOTED = (r"""(?:"(?:[^"]|(?<=\\)")+|'(?:[^']|(?<=\\)')+|"""
          r"""(?>\\+)"[^"]+""")
NO_QUOTE = r"""(?!["']|(?>\\+)")"""
BARE = {"password": rf"{NO_QUOTE}[^ \t-\r]+)",
        "value": rf"""{NO_QUOTE}[^ \t-\r&;,"']+)""",
        "part": rf"{NO_QUOTE}[^;]+)", "line": r"[^\r\n]+)"}
VALUES = {kind: re.compile(f"{QUOTED}|{bare}" if kind != "line" else
                           f"(?:{bare}") for kind, bare in BARE.items()}
SIGN = "(?:[=:]|%(?:25)*3[da])"
ASSIGN = rf"""(?>(?:\\*["'])?{BLANK}*(?:{SIGN}>?{BLANK}*)+)"""
J = "[ _-]?"
NEAR = "(?:key|access|sas|shared|secret|password|pwd|pswd|credential)"
BASE64 = "[A-Za-z0-9+/]"
SECRET_WORD = (f"(?:(?:app|application|client|api){J}(?:key|secret)|"
               f"(?:access|account|subscription){J}key|"
               f"(?:refresh|twilio){J}(?:token|sid)|secret|token|bearer|"
               f"(?:custom|user){J}data)")
PASS_WORD = ("(?:(?:password|pwd|(?:account|primary|secondary)key)(?!=)|"
             "passwd|pswd|passphrase|(?<![A-Za-z0-9])pass)")
CONNECTION_WORD = "(?:password|pwd|(?:account|primary|secondary)key)"
OPTION = (f"(?:password|passwd|pswd|pwd|passphrase|secret|token|sas|bearer|"
          f"(?:api|access|account|subscription){J}key)")

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
    (r"eyJ[A-Za-z0-9_%-]+\.eyJ[A-Za-z0-9_%.=-]*", 0),
    (r"(?:(?<![A-Za-z0-9+.-])|(?<=%[0-9a-f]{2}))[a-z][a-z0-9+.-]*://"
     r"[^ \t-\r/?#\"'<>:]*:[^ \t-\r/?#\"'<>]+@[^ \t-\r/?#\"'<>]*", I),
    (r"(?:(?<![A-Za-z0-9+.-])|(?<=%[0-9a-f]{2}))[a-z][a-z0-9+.-]*"
     r"%(?:25)*3a%(?:25)*2f%(?:25)*2f"
     r"(?>(?:(?!%(?:25)*(?:2f|3[fa]|23))[^ \t-\r/?#\"'<>&:])*)(?:%(?:25)*3a|:)"
     r"(?:(?!%(?:25)*(?:2f|3f|23))[^ \t-\r/?#\"'<>&])+"
     r"(?:@|%(?:25)*40)"
     r"(?:(?!%(?:25)*(?:2f|3f|23))[^ \t-\r/?#\"'<>&])*", I),
    (r"sig%(?:25)*3d[^ \t-\r&;,\"']+", I),
    (r"(?<![0-9a-f])[0-9a-f]{64,}", I),
    (r"(?:gh[opsur]|github_pat)_[A-Za-z0-9_]{20,}", 0),
    (rf"(?<!-)pass(?:word|phrase){BLANK}+[\"']?(?=[^ \t-\r&;,\"']*[0-9])"
     r"(?=[^ \t-\r&;,\"']*[a-z])[^ \t-\r&;,\"']{6,}", I),
]]
# Word and sign, and what ends the value behind them.
ASSIGNED = [(re.compile(head, I), kind) for head, kind in [
    (rf"{SECRET_WORD}{ASSIGN}", "value"), (rf"{PASS_WORD}{ASSIGN}", "password"),
    (rf"bearer(?>(?:{BLANK}|%(?:25)*20)+)(?!--)", "value"),
    (rf"{CONNECTION_WORD}=", "part"),
    (rf"(?:authorization|cookie){ASSIGN}", "line")]]
# Where a whole argument is one of these: from the group on.
WHOLE = re.compile(
    rf"{BLANK}*[A-Za-z0-9_.-]*?({SECRET_WORD}|{PASS_WORD}|authorization|cookie|"
    rf"{CONNECTION_WORD}(?==))(?![A-Za-z0-9_.-]){ASSIGN}", I)
START = r"(?:^(?<!\n)|(?<=[ \t-\r]))(?=-)"
# Only the value. Behind these programs, if one is named.
NAMED = "(?![A-Za-z0-9_.-])"
OPTIONS = [(None, rf"{START}[A-Za-z0-9_.-]*{OPTION}{NAMED}", I, False),
           (None, rf"{START}(?<!-)--proxy-user{NAMED}", 0, True),
           ("curl", rf"{START}--user{NAMED}", 0, True),
           ("curl", rf"{START}--(?:proxy-)?pass{NAMED}", 0, False)]
OPTIONS = [(program, re.compile(head, flags), user)
           for program, head, flags, user in OPTIONS]
LETTERS = [("curl", re.compile(START + "-[#012346aBfgGiIjJklLMnNOpqRsSvVZ]*[uU]"
                               ), True),
           ("ldap", re.compile(START + "-w"), False),
           ("mariadb", re.compile(START + "-p(?![ \t-\r])"), False),
           ("mysql", re.compile(START + "-p(?![ \t-\r])"), False),
           ("redis-cli", re.compile(START + "-a"), False),
           ("sqlcmd", re.compile(START + "-P"), False),
           ("sshpass", re.compile(START + "-v*p"), False)]
BLANKS = re.compile(f"{BLANK}*")
CONNECTION_NAME = re.compile("(?:password|pwd)$", I)


def borders(text):
    """The same with blanks for them, and where arguments begin and end."""
    if BORDER not in text:
        return text, []
    ends = [i for i, c in enumerate(text) if c == BORDER][:3] + [len(text)]
    starts = [0] + [e + 1 for e in ends[:-1]]
    return text.replace(BORDER, " "), list(zip(starts, ends))


class Line:
    """A text, its arguments if they are known, and what is secret of it."""

    def __init__(self, text):
        self.text, self.arguments = borders(text)
        self.secret = bytearray(len(self.text))

    def hide(self, start, end):
        if end > start:
            self.secret[start:end] = b"\1" * (end - start)

    def begun(self, at):
        """The end of the argument that begins here, but for blanks."""
        for start, end in self.arguments:
            if start <= at <= BLANKS.match(self.text, start).end() and at < end:
                return end
        return None

    def end(self, at, kind):
        """Of the value here."""
        whole = self.begun(at) if kind != "line" else None
        if whole is not None:
            return whole
        found = VALUES[kind].match(self.text, at)
        return found.end() if found else at

    def words(self):
        for pattern in PATTERNS:
            for i in range(len(self.text)):
                found = pattern.match(self.text, i)
                if found:
                    self.hide(i, found.end())
        for head, kind in ASSIGNED:
            for i in range(len(self.text)):
                found = head.match(self.text, i)
                if found and self.end(found.end(), kind) > found.end():
                    self.hide(i, self.end(found.end(), kind))
        for start, end in self.arguments:
            found = WHOLE.match(self.text, start)
            # a name with a blank in it is none
            if found and found.end() < end and " " not in found[1]:
                self.hide(found.start(1), end)

    def named(self, program, i):
        return program is None or re.search(
            rf"(?<![A-Za-z0-9_.-]){program}[A-Za-z0-9_.-]*(?:{BLANK}|[\"'])",
            self.text[:i]) is not None

    def value(self, i, at, part):
        """Start and end of that of the option at i."""
        if part:
            whole = self.begun(i)
            return at, self.end(at, "password") if whole is None else whole
        at = BLANKS.match(self.text, at).end()
        return at, self.end(at, "password")

    def put(self, values, user):
        for at, end in values:
            if not user or ":" in self.text[at:end]:
                yield at, end

    def option(self, i):
        for program, head, user in OPTIONS:
            found = head.match(self.text, i)
            if not found or not self.named(program, i):
                continue
            at, rest = found.end(), self.text[found.end():]
            if rest[:1] == "=" and (user or program or not
                                    CONNECTION_NAME.search(found[0])):
                values = [self.value(i, at + 1, True)]
            elif re.match(BLANK, rest):
                values = [self.value(i, at, False)]
            else:
                continue
            for start, end in self.put(values, user):
                self.hide(start, end)
        values = []
        for program, head, user in LETTERS:
            found = head.match(self.text, i)
            if not found or not self.named(program, i):
                continue
            at = found.end()
            part = re.match(BLANK, self.text[at:]) is None
            values += self.put([self.value(i, at, part)], user)
        if values:
            # as long as the longest of several programs' readings
            self.hide(min(v[0] for v in values), max(v[1] for v in values))


def redact(text):
    """Every match of every pattern at every place, taken together."""
    line = Line(text)
    line.words()
    for i in range(len(line.text)):
        line.option(i)
    out = []
    for i, c in enumerate(line.text):
        if not line.secret[i]:
            out.append(c)
        elif i == 0 or not line.secret[i - 1]:
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
         "Metadata:true", "http://169.254.169.254/metadata", "Bearer",
         "bearer ", "SharedAccessKey", "access-key", "subscription-key", "%3D",
         "%253a", "%3a", "%2F", "%40", "%20", "https%3A%2F%2F",
         "u%3Ap%40h", "u%3Ap@h",
         "sig%3D", "curl ", "curl -u ", "-u", "-U", "-su", "--user",
         "--proxy-user", "--pass", "-ubob:pw", "bob:pw", "mysql ", "mysqldump ",
         "-p", "-phunter2", "-p'a b'", "sshpass -p ", "-vp", "redis-cli ", "-a",
         "sqlcmd", "-P", "ldapsearch ", "-w", "mariadb ",
         "ghp_", "github_pat_", "gho_", "a1b2c3", "password hunter2",
         "passphrase 'hunter2", "-password ", "Cookie", "cookie: ",
         "customData", "user-data", "user_data: ",
         BORDER + "--sas=a b", BORDER + "-pa b", BORDER + "-ubob:p w"]
GLUE = ["=", ":", " ", "  ", ";", "&", ",", '"', "'", "\\", "\n", "\r", "\t",
        "-", "_", "/", "@", "?", "=>", ":=", " = ", " : ", "%", ".", "+", "",
        " = = ", '\\"', "\\\\", "%3D", BORDER, BORDER]
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


def spent():
    """Processor time of those that ran, whatever else this machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def slow(program):
    """Shapes that make a naive scanner quadratic: eight times the text may
    not take anything like 64 times as long."""
    shapes = ["pwd=", "password:", "token=x ", "eyJ", "BEGIN ", "key ",
              "BEGIN PRIVATE KEY-----", "-----END ", "a://", "password\"",
              "password: \"", "sig=", "authorization:", "--token ", "A ",
              "secret" + " " * 50, "a" * 43 + "=", "key " + "a" * 43,
              "-" * 64, "user:p@", "accesskey", "\\\"", "f" * 63 + " ",
              "key" * 60 + "a" * 43 + "=", "curl -u ", "curl -u \"",
              "curl -u \\\"", "-ss", "curl -" + "s" * 60 + " ", "mysql -p",
              "bearer ", "bearer%20", "token%25253D", "%" + "25" * 60, "= : ",
              "password: = ", "https%3A%2F%2Fu%3A", "https%3A%2F%2F@", "a%3A",
              "token=\\\"", BORDER + "token=", " " * 60 + "token: ",
              BORDER + " " * 60 + "--token ", "ghp_", "github_pat_",
              "password " + " " * 50, "password a1", "password \"",
              "cookie:", "customData: "]
    bad = 0
    for shape in shapes:
        took = []
        for size in (1 << 17, 1 << 20):
            many = shape * (size // len(shape))
            before = spent()
            run(program, [many])
            took.append(spent() - before)
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
    count = int(os.environ.get("COUNT") or 5000)
    rng = random.Random(int(os.environ.get("SEED") or 1))
    failed = compare(program, [text(rng) for _ in range(count)])
    passed = count - failed
    shapes, bad = slow(program)
    print(f"{passed + shapes - bad} passed, {failed + bad} failed, 0 skipped")
    return 1 if failed + bad else 0


if __name__ == "__main__":
    sys.exit(main())
