# SPDX-License-Identifier: MIT
"""
In: a resource of twins.py. Out: ways to write it, or nearly it, and what each
of them has to come to. Must never say of two hosts' readings which is right:
what can be read in two ways is to be denied.

SAME  the resource itself: decided as its plain spelling
DENY  in doubt: denied, whatever the default says
OTHER another resource: the default decides, and no privilege
"""
import re

SAME, DENY, OTHER = "same", "deny", "other"

LOOK_ALIKE = dict(zip("aceikmopsuvxy", "\u0430\u0441\u0435\u0456\u043a\u043c"
                      "\u043e\u0440\u0455\u03c5\u03bd\u0445\u0443"))
LOOK_ALIKE_BACK = {ord(v): k for k, v in LOOK_ALIKE.items()}
IMDS = "http://169.254.169.254"


class Mutator:
    """
    make(resource): (method, target), or None where it does not apply
    elsewhere:      it reads as another resource to those it may fool
    """

    def __init__(self, name, kind, function, elsewhere=False):
        self.name = name
        self.kind = kind
        self.function = function
        self.elsewhere = elsewhere or kind == OTHER

    def make(self, resource):
        made = self.function(resource)
        if made is None:
            return None
        method, target = made if isinstance(made, tuple) else ("GET", made)
        return (method.encode("latin-1"),
                target.encode("utf-8", "surrogateescape"))


MUTATORS = []


def mutator(name, kind, function, elsewhere=False):
    MUTATORS.append(Mutator(name, kind, function, elsewhere))


def with_query(path, r):
    return path + (f"?{r.query}" if r.query is not None else "")


def path(name, kind, function, elsewhere=False):
    """One that changes the path, which begins with "/" and a letter."""
    mutator(name, kind, lambda r: with_query(function(r.path), r), elsewhere)


def pairs(name, kind, function):
    """One that changes the query: gets its first name and value, the rest."""
    def make(r):
        if not r.query:
            return None
        first, _, rest = r.query.partition("&")
        key, _, value = first.partition("=")
        changed = function(key, value)
        if changed is None:
            return None
        return r.path + "?" + changed + ("&" + rest if rest else "")
    mutator(name, kind, make)


def units(text):
    return re.findall(r"%..|.", text)


def each(text, function):
    """Of what is not escaped already."""
    return "".join(u if len(u) > 1 else function(u) for u in units(text))


def escaped(char, form="%{:02x}"):
    return "".join(form.format(byte) for byte in char.encode())


def first_letter(text, change):
    return text[0] + change(text[1]) + text[2:]


def inside(what):
    """Behind the first letter of the path."""
    return lambda p: p[:2] + what + p[2:]


def deeper(what):
    """Below the root, where the first segment begins."""
    return lambda p: what + p[1:]


def last_slash(what):
    return lambda p: what.join(p.rsplit("/", 1)) if p.count("/") > 1 \
        else "/" + what + p[1:]


# ---- the same ---------------------------------------------------------------

path("upper case", SAME, str.upper)
path("one capital", SAME, lambda p: first_letter(p, str.upper))
path("letter escaped", SAME, lambda p: first_letter(p, escaped))
path("letters escaped, capitals", SAME, lambda p: each(
    p, lambda c: c if c == "/" else escaped(c.upper(), "%{:02X}")))
path("slash escaped", SAME, lambda p: "/" + p[1:].replace("/", "%2f") + "%2f")
path("slashes escaped, twice", SAME, lambda p: "/%2F" + p[1:])
path("first slash escaped behind", SAME, lambda p: "/%2f%2F%2f" + p[1:])
path("dot", SAME, deeper("/./"))
path("dots, many", SAME, lambda p: "/././." + p)
path("dot escaped", SAME, deeper("/%2e/"))
path("dot with a parameter", SAME, deeper("/.;x/"))
path("empty segment with a parameter", SAME, deeper("/;x/"))
path("parameter inside", SAME, lambda p: last_slash(";v=1/")(p + ";w"))
path("parameter escaped", SAME, deeper("/%3Bv=1%2f"))
mutator("parameter before the query", SAME, lambda r: with_query(
    "/." + r.path + ";a=b;c", r))
path("first segment has a parameter", SAME,
     lambda p: p.replace("/", "/;/", 1) + ";")
path("absolute", SAME, lambda p: IMDS + p)
path("absolute, capitals, port", SAME,
     lambda p: "HTTP://169.254.169.254:80" + p)
path("absolute, one number", SAME, lambda p: "http://2852039166" + p)
path("absolute, octal", SAME, lambda p: "http://0251.0376.0251.0376" + p)
path("absolute, mapped", SAME, lambda p: "http://[::ffff:a9fe:a9fe]" + p)
path("absolute, name", SAME, lambda p: "Http://metadata.internal." + p)
mutator("absolute, escaped, dots", SAME, lambda r: with_query(
    IMDS + "/%2E" + first_letter(r.path, escaped), r))
mutator("other method", SAME, lambda r: ("HEAD", with_query("/." + r.path, r)))
pairs("name in capitals", SAME, lambda k, v: f"{k.upper()}={v}")
pairs("value in capitals", SAME, lambda k, v: f"{k}={v.upper()}")
pairs("name escaped", SAME, lambda k, v: f"{escaped(k[0])}{k[1:]}={v}")
pairs("value escaped", SAME, lambda k, v: k + "=" + each(v, escaped))
pairs("value escaped, capitals", SAME, lambda k, v: k + "=" + each(
    v, lambda c: escaped(c.upper(), "%{:02X}")))
pairs("other names before", SAME,
      lambda k, v: f"x{k}=1&y=%26{k}=2&{k.title()}={v}")
pairs("empty pieces", SAME, lambda k, v: f"&&=&=x&{k.upper()}={v}&&")
pairs("others given twice", SAME,
      lambda k, v: f"zz=1&zz=2&{escaped(k)}={v}")
pairs("others not clear", SAME, lambda k, v: f"zz=%255c&{k.title()}={v}")
mutator("parameters turned round", SAME, lambda r: r.query and (
    r.path.title() + "?" + "&".join(reversed(r.query.split("&")))))

# ---- in doubt: what is decoded twice, folded, or dropped --------------------

path("letter escaped twice", DENY,
     lambda p: first_letter(p, lambda c: "%25" + escaped(c)[1:]))
path("letter escaped three times", DENY,
     lambda p: first_letter(p, lambda c: "%2525" + escaped(c)[1:]))
path("letter escaped, digits escaped", DENY,
     lambda p: first_letter(p, lambda c: "%25%" + "%02x%%%02x" % tuple(
         escaped(c)[1:].encode())))
path("slash escaped twice", DENY, deeper("/%252f"))
path("dots escaped twice", DENY, deeper("/x/%252e%252e/"))
path("dot escaped twice", DENY, deeper("/%252e/"))
path("backslash", DENY, deeper("/\\"))
path("backslash for a slash", DENY, last_slash("\\"))
path("backslash escaped", DENY, deeper("/.%5c"))
path("backslash escaped, inside", DENY, last_slash("%5C"))
path("backslash escaped twice", DENY, deeper("/%255c"))
path("slash twice", DENY, lambda p: "/" + p)
path("slash twice, inside", DENY, last_slash("//"))
path("back from somewhere", DENY, deeper("/x/../"))
path("back, escaped", DENY, deeper("/x/%2e%2E/"))
path("back, half escaped", DENY, deeper("/x/.%2e/"))
path("back, slash escaped", DENY, deeper("/x%2f..%2f"))
path("back, with a parameter", DENY, deeper("/x/..;y/"))
path("back, with a backslash", DENY, deeper("/x\\..\\"))
path("back above the root", DENY, deeper("/../"))
path("three dots", DENY, deeper("/.../"))
path("NUL", DENY, inside("%00"))
path("NUL as it is", DENY, inside("\0"))
path("NUL escaped twice", DENY, inside("%2500"))
path("TAB", DENY, inside("%09"))
path("TAB as it is", DENY, inside("\t"))
path("line break", DENY, inside("%0d%0a"))
path("line break as it is", DENY, inside("\r\n"))
path("blank as it is", DENY, deeper("/ "))
path("delete", DENY, inside("%7f"))
path("escape character", DENY, inside("%1b"))
path("solidus, fullwidth", DENY, deeper("/%ef%bc%8f"))
path("solidus, fraction", DENY, last_slash("%e2%81%84"))
path("dot, fullwidth", DENY, deeper("/%ef%bc%8e/"))
path("letter, fullwidth", DENY, lambda p: first_letter(
    p, lambda c: escaped(chr(ord(c) - 0x20 + 0xFF00))))
path("letter, fullwidth, as it is", DENY, lambda p: first_letter(
    p, lambda c: chr(ord(c) - 0x20 + 0xFF00)))
path("letter, look-alike", DENY, lambda p: each(
    p, lambda c: escaped(LOOK_ALIKE[c]) if c in LOOK_ALIKE else c))
path("letter, long s and kelvin", DENY,
     lambda p: p.replace("s", "%c5%bf").replace("k", "%e2%84%aa")
     + ("" if re.search("[sk]", p) else "%c5%bf"))
path("letter, mathematical", DENY, lambda p: first_letter(
    p, lambda c: escaped(chr(0x1D41A + ord(c) - ord("a")))))
path("joiner, zero width", DENY, inside("%e2%80%8d"))
path("hyphen, soft", DENY, inside("%c2%ad"))
path("order of text", DENY, inside("%e2%80%ae"))
path("combining mark", DENY, inside("%cc%81"))
path("overlong slash", DENY, deeper("/%c0%af"))
path("overlong slash, three bytes", DENY, deeper("/%e0%80%af"))
path("overlong dot", DENY, deeper("/%c0%ae/"))
path("overlong letter", DENY, lambda p: first_letter(
    p, lambda c: "%%c1%%%02x" % (0x80 | ord(c) & 0x3F)))
path("overlong NUL", DENY, inside("%c0%80"))
path("no UTF-8", DENY, inside("%ff"))
path("no UTF-8, as it is", DENY, inside("\udcff"))
path("half a character", DENY, inside("%c3"))
path("surrogates", DENY, inside("%ed%a0%80%ed%b0%80"))
path("letter of %u", DENY,
     lambda p: first_letter(p, lambda c: "%%u00%02x" % ord(c)))
path("per cent, alone", DENY, inside("%"))
path("per cent, no digits", DENY, inside("%zz"))
path("per cent, one digit", DENY, lambda p: p[:2] + "%4/" + p[2:])
mutator("query in the path", DENY, lambda r: r.query and (
    r.path + "%3F" + r.query))
mutator("query in the path, and a query", DENY, lambda r: r.query and (
    f"{r.path}%3f{r.query}&x=1?y=2"))
path("question mark in the path", DENY, inside("%3f"))
path("question mark escaped twice", DENY, inside("%253f"))
mutator("fragment behind", DENY,
        lambda r: r.query and r.target() + "#")
mutator("fragment in front", DENY, lambda r: "/#" + r.target())
mutator("fragment before the query", DENY,
        lambda r: r.query and f"{r.path}#?{r.query}")
path("absolute, https", DENY, lambda p: "https://169.254.169.254" + p)
path("absolute, of another scheme", DENY, lambda p: "file://" + p)
path("absolute, with a user", DENY, lambda p: "http://u:p@169.254.169.254" + p)
path("absolute, user ends the host", DENY,
     lambda p: "http://169.254.169.254@h" + p)
path("absolute, bad port", DENY, lambda p: "http://169.254.169.254:0x50" + p)
path("absolute, port too large", DENY,
     lambda p: "http://169.254.169.254:65616" + p)
path("absolute, bad number", DENY, lambda p: "http://169.254.169.256" + p)
path("absolute, no host", DENY, lambda p: "http://" + p)
path("absolute, backslash in the host", DENY,
     lambda p: "http://169.254.169.254\\h" + p)
path("absolute, host escaped", DENY,
     lambda p: "http://169.254.169.25%34" + p)
path("absolute, slash twice", DENY, lambda p: IMDS + "/" + p)
path("authority form", DENY, lambda p: "169.254.169.254:80" + p)
path("without its slash", DENY, lambda p: p[1:])
mutator("method in small letters", DENY, lambda r: (
    "get", with_query("/." + r.path, r)))
mutator("method of no list", DENY, lambda r: (
    "TRACE", with_query("/." + r.path, r)))

# From what is granted to what is not.
for _name, _up in (
        ("back", "/.."), ("back, escaped", "/%2e%2e"),
        ("back, slash escaped", "%2f.."), ("back, twice", "/%252e%252e"),
        ("back, parameter", "/..;"), ("back, backslash", "\\.."),
        ("back, backslash escaped", "%5c.."),
        ("back, backslash escaped twice", "%255c%252e%252e"),
        ("back, overlong", "/%c0%ae%c0%ae"),
        ("back, fullwidth", "/%ef%bc%8e%ef%bc%8e"),
        ("back, two slashes", "//..")):
    mutator("to another, " + _name, DENY, lambda r, up=_up: with_query(
        r.path + up * r.path.count("/") + r.victim, r), elsewhere=True)

# ---- in doubt: the query ----------------------------------------------------

pairs("given twice", DENY, lambda k, v: f"{k}={v}&{k}={v}")
pairs("given twice, other first", DENY, lambda k, v: f"{k}=x&{k}={v}")
pairs("given twice, other last", DENY, lambda k, v: f"{k}={v}&{k}=x")
pairs("given twice, without a value", DENY, lambda k, v: f"{k}&{k}={v}")
pairs("given twice, empty", DENY, lambda k, v: f"{k}=&{k}={v}")
pairs("given twice, capitals", DENY, lambda k, v: f"{k.upper()}=x&{k}={v}")
pairs("given twice, escaped", DENY,
      lambda k, v: f"{escaped(k[0])}{k[1:]}=x&{k}={v}")
pairs("given twice, far apart", DENY,
      lambda k, v: f"{k}=x&a=1&b=2&c=3&{escaped(k)}={v}")
pairs("value escaped twice", DENY, lambda k, v: f"{k}=%25{escaped(v[0])[1:]}"
      + v[1:])
pairs("value with a backslash", DENY, lambda k, v: f"{k}=\\{v}")
pairs("value with a backslash escaped", DENY, lambda k, v: f"{k}={v}%5c")
pairs("name escaped twice", DENY, lambda k, v: f"%25{escaped(k[0])[1:]}"
      f"{k[1:]}={v}")
pairs("name with a backslash", DENY, lambda k, v: f"{k}%5c={v}")
pairs("value with a NUL", DENY, lambda k, v: f"{k}={v}%00")
pairs("name with a NUL", DENY, lambda k, v: f"{k}%00x={v}")
pairs("value with a TAB", DENY, lambda k, v: f"{k}=%09{v}")
pairs("value, blank as it is", DENY, lambda k, v: f"{k}= {v}")
pairs("value overlong", DENY,
      lambda k, v: f"{k}=%c1%{0x80 | ord(v[0]) & 0x3F:02x}{v[1:]}")
pairs("value, no UTF-8", DENY, lambda k, v: f"{k}={v}%fe")
pairs("value, as it is, not ASCII", DENY, lambda k, v: f"{k}={v}\u00a0")
pairs("value, per cent alone", DENY, lambda k, v: f"{k}={v}%")
pairs("other name, bad escape", DENY, lambda k, v: f"{k}={v}&%4")
pairs("quotation mark", DENY, lambda k, v: f'{k}="{v}"')

# ---- something else ---------------------------------------------------------

path("longer word", OTHER, lambda p: p + "-foo")
path("longer word, escaped", OTHER, lambda p: p + "%41")
path("dot at the end", OTHER, lambda p: p + ".")
path("blank at the end", OTHER, lambda p: p + "%20")
path("plus at the end", OTHER, lambda p: p + "+")
path("longer word, parameter", OTHER, lambda p: p + "x;y")
path("number sign at the end", OTHER, lambda p: p + "%23")
path("per cent at the end", OTHER, lambda p: p + "%25")
path("colon at the end", OTHER, lambda p: p + "::$data")
pairs("value fullwidth", OTHER, lambda k, v: k + "="
      + escaped(chr(ord(v[0]) - 0x20 + 0xFF00)) + v[1:])
pairs("value look-alike", OTHER, lambda k, v: k + "=" + each(
    v, lambda c: escaped(LOOK_ALIKE[c]) if c in LOOK_ALIKE else c)
      if set(v) & set(LOOK_ALIKE) else None)
pairs("name fullwidth", OTHER, lambda k, v:
      escaped(chr(ord(k[0]) - 0x20 + 0xFF00)) + f"{k[1:]}={v}")
pairs("value, dot at the end", OTHER, lambda k, v: f"{k}={v}.")
pairs("value, blank at the end", OTHER, lambda k, v: f"{k}={v}%20")
pairs("value, joiner", OTHER, lambda k, v: f"{k}={v}%e2%80%8d")
