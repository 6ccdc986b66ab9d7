# SPDX-License-Identifier: MIT
"""
In: the text of a profile, a method and raw target, the facts of a caller.
Out: the decision that has to be made of them, and why. Must never be fast,
nor know how libmsp does it: it is the other half of a comparison, written
from the description of the protocol and the public headers alone.

A walk, rule by rule. Names and bytes that are compared are Python bytes.
"""
import ipaddress
import json
import re

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
EXEMPT = ((b"PUT", b"/vmagentlog"),
          (b"POST", b"/machine/?comp=telemetrydata"))
ROOT_ONLY = ("wireserver", "hostga")
SELECTORS = ("userName", "groupName", "exePath", "processName")
TARGET_MAX = 65534
# Printable, and yet in the path or the query of no target.
NOT_IN_PATH = b"#<>`"
NOT_IN_QUERY = b'#<>"'

ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.S)
STILL_ESCAPED = re.compile(rb"%[0-9A-Fa-f]{2}")


class Rejected(Exception):
    """Carries the code of the step that failed."""

    def __init__(self, code):
        super().__init__(code)
        self.code = "CANON_" + code


class Refused(Exception):
    """The profile as a whole is not taken."""


def lower(text):
    """ASCII only: bytes.lower() leaves all other bytes alone."""
    return text.lower()


# ---- canonical form: pieces ------------------------------------------------

def decode_escapes(raw, keep_malformed=False):
    out = bytearray()
    i = 0
    while i < len(raw):
        if raw[i] != ord("%"):
            out.append(raw[i])
            i += 1
        elif STILL_ESCAPED.match(raw, i):
            out.append(int(raw[i + 1:i + 3], 16))
            i += 3
        elif keep_malformed:
            out.append(raw[i])
            i += 1
        else:
            raise Rejected("PCT")
    return bytes(out)


def is_utf8(text):
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def has_control(text):
    return any(byte < 0x20 or byte == 0x7F for byte in text)


def two_readings(text):
    """Whoever decodes once more, or folds a backslash, sees another text."""
    return b"\\" in text or STILL_ESCAPED.search(text) is not None


def canonical_path(raw):
    """The segments below the root, and whether a slash ends the path."""
    path = raw or b"/"
    trailing = len(path) > 1 and path.endswith(b"/")
    path = decode_escapes(path)
    if not is_utf8(path):
        raise Rejected("UTF8")
    if has_control(path):
        raise Rejected("CTRL")
    if not path.isascii():
        raise Rejected("NON_ASCII")
    if b"?" in path:
        raise Rejected("EMBQ")
    if two_readings(path):
        raise Rejected("AMBIGUOUS")
    segments = []
    for piece in lower(path).split(b"/"):
        piece = piece.split(b";")[0]
        if piece in (b"", b"."):
            continue
        if piece != b"..":
            segments.append(piece)
        elif segments:
            segments.pop()
        else:
            raise Rejected("UNDERFLOW")
    return segments, trailing and bool(segments)


def decode_query_half(raw):
    text = decode_escapes(raw.replace(b"+", b" "))
    if not is_utf8(text):
        raise Rejected("UTF8")
    if has_control(text):
        raise Rejected("CTRL")
    return lower(text)


def canonical_query(raw):
    """Pairs of name and value in the order they came."""
    pairs = []
    for piece in raw.split(b"&"):
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        name = decode_query_half(name)
        value = decode_query_half(value)
        if name:
            pairs.append((name, value))
    return pairs


# ---- canonical form: destination -------------------------------------------

def number(text):
    """One part of an address as inet_aton() has it, or None."""
    if re.fullmatch(rb"0[xX][0-9A-Fa-f]{1,8}", text):
        return int(text[2:], 16)
    if re.fullmatch(rb"0[0-7]*", text):
        return int(text, 8)
    if re.fullmatch(rb"[1-9][0-9]*", text):
        return int(text)
    return None


def numeric_address(host):
    parts = [number(part) for part in host.split(b".")]
    if len(parts) > 4 or None in parts:
        raise Rejected("HOST")
    last = parts.pop()
    if any(part > 255 for part in parts) or last >= 256 ** (4 - len(parts)):
        raise Rejected("HOST")
    address = 0
    for part in parts:
        address = address * 256 + part
    return address * 256 ** (4 - len(parts)) + last


def ipv6_address(text):
    """Number of the IPv4 address that it maps, or 0."""
    try:
        if b"%" in text:  # no zones in a URL of this protocol
            raise ValueError
        mapped = ipaddress.IPv6Address(text.decode("ascii")).ipv4_mapped
    except ValueError:
        raise Rejected("HOST") from None
    return int(mapped) if mapped else 0


def host_address(host):
    """(number of an IPv4 address or 0, is it a name)"""
    if host.startswith(b"[") and host.endswith(b"]"):
        return ipv6_address(host[1:-1]), False
    host = host.rstrip(b".")
    if not host:
        raise Rejected("HOST")
    # "face" and "1.de" can be no number, so they are names.
    last = host.rpartition(b".")[2]
    if re.fullmatch(rb"[0-9A-Fa-fxX.]+", host) \
            and re.fullmatch(rb"[0-9]+|0[xX][0-9A-Fa-f]*", last):
        return numeric_address(host), False
    if not re.fullmatch(rb"[A-Za-z0-9.-]+", host) \
            or not re.search(rb"[A-Za-z0-9]", host):
        raise Rejected("HOST")
    return 0, True


def destination(authority):
    """(address, port, is it a name)"""
    host, port = authority, 80
    after = authority.rfind(b"]") + 1
    if b":" in authority[after:]:
        colon = authority.rfind(b":")
        host, digits = authority[:colon], authority[colon + 1:]
        if not re.fullmatch(rb"[0-9]+", digits) or int(digits) > 0xFFFF:
            raise Rejected("PORT")
        port = int(digits)
    address, is_name = host_address(host)
    return address, port, is_name


def escape(text, special):
    """What must not stand as itself, because it would not come back."""
    return b"".join(
        b"%%%02X" % byte
        if byte <= 0x20 or byte >= 0x7F or byte in special
        else bytes((byte,)) for byte in text)


# ---- canonical form: the request -------------------------------------------

class Request:
    """
    form:      origin, absolute, asterisk or other
    code:      CANON_OK, or that of the first step that failed
    segments, trailing, query: canonical, if code is CANON_OK
    """

    def __init__(self, method, target):
        self.method = method
        self.target = target
        self.segments = []
        self.trailing = False
        self.query = []
        self.split()
        self.exempt = (method, lower(target)) in EXEMPT
        try:
            self.canonicalize()
            self.code = "CANON_OK"
        except Rejected as rejected:
            self.code = rejected.code

    def too_long_or_empty(self):
        """Not even looked at; a decision on it is one on no target."""
        return not self.method or not self.target \
            or max(len(self.method), len(self.target)) > TARGET_MAX

    def split(self):
        target = b"" if self.too_long_or_empty() else self.target
        absolute = ABSOLUTE.fullmatch(target)
        self.scheme = self.raw_authority = b""
        if absolute:
            self.form = "absolute"
            self.scheme, self.raw_authority, target = absolute.groups()
        elif target.startswith(b"/"):
            self.form = "origin"
        elif target == b"*":
            self.form = "asterisk"
        else:
            self.form = "other"
            target = b""
        before_fragment = target.partition(b"#")[0]
        self.raw_path, _, self.raw_query = before_fragment.partition(b"?")
        if self.no_target():
            self.form = "other"

    def no_target(self):
        """The code of the first byte that no target holds, or None."""
        for byte in self.target:
            if byte <= 0x20 or byte == 0x7F:
                return "CTRL"
            if byte >= 0x80:
                return "NON_ASCII"
            if byte in b"#<>":
                return "FORM"
        if any(byte in NOT_IN_PATH for byte in self.raw_path) \
                or any(byte in NOT_IN_QUERY for byte in self.raw_query):
            return "FORM"
        return None

    def canonicalize(self):
        if self.too_long_or_empty():
            raise Rejected("FORM")
        # Refused in every mode, hence before everything else.
        if b"//" in self.raw_path:
            raise Rejected("SLASHES")
        if b".." in decode_escapes(self.raw_path, keep_malformed=True):
            raise Rejected("TRAVERSAL")
        if self.scheme and lower(self.scheme) != b"http":
            raise Rejected("SCHEME")
        if self.method not in METHODS:
            raise Rejected("METHOD")
        if self.form == "other":
            raise Rejected(self.no_target() or "FORM")
        if self.form == "asterisk" and self.method != b"OPTIONS":
            raise Rejected("FORM")
        if self.form == "absolute":
            self.named()
        self.segments, self.trailing = canonical_path(self.raw_path)
        self.query = canonical_query(self.raw_query)

    def named(self):
        if b"@" in self.raw_authority:
            raise Rejected("USERINFO")
        return destination(self.raw_authority)

    def authority(self):
        """What an absolute form names: (address, port, is it a name)"""
        if self.form != "absolute" or lower(self.scheme) != b"http":
            return None
        try:
            return self.named()
        except Rejected:
            return None

    def can_be_forwarded(self):
        """If not, no mode and no rule lets it pass."""
        return self.form != "other" and self.code not in (
            "CANON_SLASHES", "CANON_TRAVERSAL", "CANON_FORM", "CANON_METHOD",
            "CANON_SCHEME", "CANON_USERINFO", "CANON_HOST", "CANON_PORT")

    def origin(self):
        """What goes out, byte for byte, or None."""
        if self.form == "other":
            return None
        if self.form == "asterisk":
            return b"*"
        query = self.target[self.target.find(b"?"):] \
            if b"?" in self.target else b""
        return (self.raw_path or b"/") + query

    def render(self):
        """The canonical form as a target, or None."""
        if self.code != "CANON_OK":
            return None
        special = b"%?;" + NOT_IN_PATH
        path = b"".join(b"/" + escape(segment, special)
                        for segment in self.segments)
        if self.trailing or not path:
            path += b"/"
        special = b"%&=+" + NOT_IN_QUERY
        pairs = [escape(name, special) + b"=" + escape(value, special)
                 for name, value in sorted(self.query, key=lambda p: p[0])]
        return path + (b"?" + b"&".join(pairs) if pairs else b"")

    def values(self, name):
        return [value for key, value in self.query if key == name]


# ---- the profile -----------------------------------------------------------

class Privilege:
    def __init__(self, item):
        self.name = item["name"].encode()
        try:
            self.segments, _ = canonical_path(item["path"].encode())
        except Rejected as rejected:
            raise Refused(f"path of {item['name']}") from rejected
        # Literal: never decoded, never joined and split again.
        wanted = item.get("queryParameters") or {}
        self.params = [(lower(key.encode()), lower(value.encode()))
                       for key, value in wanted.items()]
        self.identities = []

    def covers(self, request):
        return request.segments[:len(self.segments)] == self.segments

    def matches(self, request):
        return self.covers(request) and all(
            value in request.values(name) for name, value in self.params)


class Identity:
    def __init__(self, item):
        self.name = item["name"].encode()
        self.wanted = {key: item[key].encode() for key in SELECTORS
                       if item.get(key) is not None}

    def matches(self, caller):
        return all(value != b"" and fits(key, value, caller)
                   for key, value in self.wanted.items())


def fits(selector, wanted, caller):
    flags = caller["flags"]
    if selector == "userName":
        return "names" in flags and caller["user"] == wanted
    if selector == "groupName":
        return "names" in flags and "groups-cut" not in flags and (
            wanted in caller["groups"] or wanted in caller["process_groups"])
    # A path that is cut, or not known, is no path.
    if "verified" not in flags or flags & {"path-cut", "no-path"} \
            or not caller["exe"]:
        return False
    if selector == "exePath":
        return wanted.startswith(b"/") \
            and components(caller["exe"]) == components(wanted)
    return caller["exe"].rpartition(b"/")[2] == wanted


def components(path):
    """What tells two paths apart: not how many slashes, nor inner dots."""
    return [path[:1] == b"/"] + [piece for piece in path.split(b"/")
                                 if piece not in (b"", b".")]


class Rules:
    """
    text: a profile in the wire form, or None for rules that deny everything
          (mode enforce, default deny)
    """

    def __init__(self, text, closed_id=b""):
        self.mode = "enforce"
        self.allow = False
        self.id = closed_id
        self.privileges = []
        self.identities = []
        if text is not None:
            self.read(json.loads(text))

    def read(self, item):
        self.id = item["id"].encode()
        self.mode = item["mode"].lower()
        self.allow = item["defaultAccess"].lower() == "allow"
        rules = item.get("rules") or {}
        self.privileges = [Privilege(p) for p in rules.get("privileges") or []]
        self.identities = [Identity(i) for i in rules.get("identities") or []]
        roles = {role["name"]: role["privileges"]
                 for role in rules.get("roles") or []}
        granted = set()
        for assignment in rules.get("roleAssignments") or []:
            for privilege in roles.get(assignment["role"], []):
                for identity in assignment["identities"]:
                    granted.add((privilege.encode(), identity.encode()))
        for privilege in self.privileges:
            privilege.identities = [
                identity for identity in self.identities
                if (privilege.name, identity.name) in granted]

    def needs(self):
        """What has to be known of a caller before it can be judged."""
        wanted = {key for privilege in self.privileges
                  for identity in privilege.identities
                  for key in identity.wanted}
        return (1 * ("userName" in wanted) + 2 * ("groupName" in wanted)
                + 4 * ("exePath" in wanted or "processName" in wanted))


# ---- the decision ----------------------------------------------------------

class Decision:
    def __init__(self, verdict, reason, canon="CANON_OK", privilege=None,
                 identity=None):
        self.verdict = verdict
        self.reason = reason
        self.canon = canon
        self.privilege = privilege
        self.identity = identity


def doubtful_query(rules, request):
    """The code of a query that could be read in two ways, or None."""
    asked = {name for privilege in rules.privileges
             if privilege.covers(request) for name, _ in privilege.params}
    if any(len(request.values(name)) > 1 for name in asked):
        return "CANON_DUPLICATE_PARAM"
    if asked and any(two_readings(name) or
                     (name in asked and two_readings(value))
                     for name, value in request.query):
        return "CANON_AMBIGUOUS"
    return None


def by_rules(rules, request, caller):
    if request.code != "CANON_OK":
        return Decision("deny", "canon", request.code)
    doubt = doubtful_query(rules, request)
    if doubt:
        return Decision("deny", "canon", doubt)
    matched = [p for p in rules.privileges if p.matches(request)]
    for privilege in matched:
        for identity in privilege.identities:
            if identity.matches(caller):
                return Decision("allow", "granted",
                                privilege=privilege.name,
                                identity=identity.name)
    if matched:
        return Decision("deny", "no-identity", privilege=matched[0].name)
    if rules.allow:
        return Decision("allow", "default-allow")
    return Decision("deny", "default-deny")


def decide(rules, endpoint, request, caller):
    """rules is None if no item is installed."""
    flags = caller["flags"]
    if "known" not in flags or "kernel" in flags:
        return Decision("deny", "unknown-caller")
    if "direct" in flags:
        return Decision("deny", "direct")
    if not request.can_be_forwarded():
        return Decision("deny", "canon", request.code)
    elevated = caller["uid"] == 0 and caller["euid"] == 0
    if request.exempt and elevated:
        return Decision("allow", "exempt")
    if endpoint in ROOT_ONLY and not elevated:
        return Decision("deny", "not-root")
    if rules is None:
        return Decision("allow", "no-rules")
    if rules.mode == "disabled":
        return Decision("allow", "disabled")
    decision = by_rules(rules, request, caller)
    if decision.verdict == "deny" and rules.mode == "audit":
        decision.verdict = "allow-audited"
    return decision
