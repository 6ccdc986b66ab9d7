# SPDX-License-Identifier: MIT
"""
In: the program decide. Out: whether another spelling of a request is ever
decided otherwise than the request itself, where it may not be; and, for the
worth of the spellings, which simpler matchers each of them would fool. Must
never count a spelling that fools none of these.
"""
import collections
import json
import re
import unicodedata

import driver
import generate
import spellings

SAME, DENY, OTHER = spellings.SAME, spellings.DENY, spellings.OTHER

# Each privilege is held by the identity "holder" alone. Of the two defaults
# one shows a spelling that dodges a rule, the other one that makes it match.
PROFILES = """
imds deny /metadata/versions
  /metadata/instance
  /metadata/identity/oauth2/token resource=https://vault.azure.net
imds allow /metadata/versions
  /metadata/identity/oauth2
  /metadata/token resource=https://vault.azure.net api-version=2018-02-01
wireserver deny /secret
  /machine comp=goalstate
  /machine/ski/certificates
wireserver allow /public
  /machine comp=goalstate
  /vmsettings
hostga deny /x
  /kept%20here/ski%23s name=a+b
  /k
imds allow /x
  /kept%20here/ski%23s name=a+b
  /status
"""

HOLDER = {"flags": {"known", "names", "verified", "checked"}, "uid": 0,
          "euid": 0, "nlink": 1, "user": b"holder", "exe": b"/usr/bin/curl",
          "groups": [], "process_groups": []}
EVE = {**HOLDER, "user": b"eve"}


class Resource:
    """
    path, query: the plain spelling; query is None or "k=v&k=v"
    literal:     path and parameters as a rule has them
    victim:      path of something else, that no rule grants
    """

    def __init__(self, line, victim):
        self.path, *params = line.split()
        self.victim = victim
        self.query = "&".join(p.replace("+", "%2B") for p in params) or None
        self.literal_path = self.path.replace("%20", " ").replace("%23", "#")
        self.params = dict(p.split("=", 1) for p in params)

    def target(self):
        return self.path + (f"?{self.query}" if self.query else "")


class Profile:
    def __init__(self, line):
        self.endpoint, self.access, self.victim = line.split()
        self.resources = []

    def text(self):
        names = [f"p{i}" for i in range(len(self.resources))]
        return json.dumps({
            "id": "twins", "mode": "enforce", "defaultAccess": self.access,
            "rules": {
                "privileges": [
                    {"name": name, "path": r.literal_path,
                     **({"queryParameters": r.params} if r.params else {})}
                    for name, r in zip(names, self.resources)],
                "roles": [{"name": "r", "privileges": names}],
                "identities": [{"name": "holder", "userName": "holder"}],
                "roleAssignments": [{"role": "r",
                                     "identities": ["holder"]}]}})


def profiles():
    found = []
    for line in PROFILES.strip().split("\n"):
        if line.startswith(" "):
            found[-1].resources.append(Resource(line, found[-1].victim))
        else:
            found.append(Profile(line))
    return found


# ---- matchers that are too simple ------------------------------------------

def decode(text):
    return re.sub(rb"%([0-9A-Fa-f]{2})",
                  lambda m: bytes((int(m.group(1), 16),)), text)


def rule_of(resource, fold):
    return (fold(resource.literal_path.encode()),
            [(fold(k.encode()), fold(v.encode()))
             for k, v in resource.params.items()])


def pairs_of(query):
    return [tuple(piece.partition(b"=")[::2])
            for piece in query.split(b"&") if piece]


def plain_prefix(target, resource):
    """As a text, untouched."""
    path, _, query = target.partition(b"?")
    wanted, params = rule_of(resource, lambda text: text)
    pairs = pairs_of(query)
    return path.startswith(wanted) and all(p in pairs for p in params)


def decode_once(target, resource):
    """As a text, decoded and in lower case, the first of equal parameters."""
    path, _, query = target.partition(b"?")
    path = decode(path).lower()
    path, _, embedded = path.partition(b"?")
    wanted, params = rule_of(resource, bytes.lower)
    first = {}
    for name, value in pairs_of(query) + pairs_of(embedded):
        first.setdefault(decode(name).lower(), decode(value).lower())
    return path.startswith(wanted) and all(
        first.get(name) == value for name, value in params)


def fold_everything(target, resource):
    """What any host might do at worst, so as to match whatever may match."""
    def fold(text):
        for _ in range(4):
            text = decode(text)
        text = re.sub(rb"[\xc0-\xc1][\x80-\xbf]", lambda m: bytes((
            (m.group()[0] & 3) << 6 | m.group()[1] & 63,)), text)
        text = unicodedata.normalize("NFKC", text.decode("utf-8", "ignore"))
        text = "".join(c for c in text if c.isprintable()
                       and unicodedata.category(c) != "Cf")
        text = text.translate(spellings.LOOK_ALIKE_BACK)
        text = text.replace("\\", "/").lower().encode()
        return re.sub(rb"/+", b"/", re.sub(rb"[. ]+(?=/|$)", b"", text))
    target = re.sub(rb"^\w+://[^/?]*", b"", target).partition(b"#")[0]
    path, _, query = target.partition(b"?")
    wanted, params = rule_of(resource, fold)
    last = {fold(n): fold(v) for n, v in pairs_of(query)}
    return fold(path).startswith(wanted) and all(
        last.get(name) == value for name, value in params)


MATCHERS = (plain_prefix, decode_once, fold_everything)


def fooled(matches, access, mutator):
    """
    With this matcher: would somebody get what the rules deny, or would the
    holder not get what is granted?
    """
    if mutator.kind == SAME:
        return not matches
    if mutator.elsewhere:
        return matches and access == "deny"
    return not matches and access == "allow"


# ---- the run ---------------------------------------------------------------

def decided(answer):
    """(verdict, reason, code, privilege, identity)"""
    return tuple(answer.split()[:5])


def wrong(kind, access, plain, twin):
    """What must not be, in words, or None."""
    if kind == SAME:
        if twin != plain:
            return f"is {' '.join(twin)}, plainly {' '.join(plain)}"
    elif kind == DENY:
        if twin[:2] != ("deny", "canon"):
            return f"is {' '.join(twin)}"
    elif twin[:2] != (access, f"default-{access}"):
        return f"is {' '.join(twin)}, and is something else"
    return None


class Row:
    """What became of one mutator."""

    def __init__(self, kind):
        self.kind = kind
        self.tried = 0
        self.wrong = []
        self.seen = collections.Counter()
        self.fools = collections.Counter()


def judge(row, mutator, profile, resource, case, plain, twin):
    row.tried += 1
    row.seen[twin[2] if twin[1] == "canon" else twin[1]] += 1
    what = wrong(row.kind, profile.access, plain, twin)
    if what:
        row.wrong.append(f"{case[0]['user'].decode()} {case[1]} {case[2]} "
                         f"{case[3]} {what}")
    for matcher in MATCHERS:
        row.fools[matcher.__name__] += fooled(
            matcher(case[3], resource), profile.access, mutator)


def twins_of(profile, resource):
    """[(mutator, case of a holder, case of somebody else)]"""
    found = []
    for mutator in spellings.MUTATORS:
        made = mutator.make(resource)
        if made is None:
            continue
        method, target = made
        found.append((mutator,) + tuple(
            (who, profile.endpoint, method, target)
            for who in (HOLDER, EVE)))
    return found


def run_profile(program, profile, rows):
    plain = {}
    for i, resource in enumerate(profile.resources):
        twins = twins_of(profile, resource)
        target = resource.target().encode()
        cases = [(who, profile.endpoint, b"GET", target)
                 for who in (HOLDER, EVE)]
        for _, *pair in twins:
            cases += pair
        world = generate.World("profile", profile.text(), 1, cases)
        answers = [decided(a) for a in driver.ask(program, [world])[1]]
        name = driver.text(f"p{i}".encode())
        plain[resource] = (
            answers[0] == ("allow", "granted", "CANON_OK", name,
                           driver.text(b"holder"))
            and answers[1] == ("deny", "no-identity", "CANON_OK", name, "-"))
        answers = iter(answers)
        base = next(answers), next(answers)
        for mutator, *pair in twins:
            for case, of_plain in zip(pair, base):
                judge(rows[mutator.name], mutator, profile, resource, case,
                      of_plain, next(answers))
    return plain


def run(program, verbose):
    rows = {m.name: Row(m.kind) for m in spellings.MUTATORS}
    claims, per_resource = [], []
    for profile in profiles():
        for resource, right in run_profile(program, profile, rows).items():
            claims.append((f"{resource.target()} is for its holder", right))
            per_resource.append(len(twins_of(profile, resource)))
    claims.append((f"each privilege has 30 twins ({min(per_resource)})",
                   min(per_resource) >= 30))
    if verbose:
        print(f"    {'spelling':<28} {'kind':<6} {'tried':>5}  "
              + "  ".join(m.__name__ for m in MATCHERS) + "  seen")
    for name, row in rows.items():
        for text in row.wrong[:3]:
            print(f"  {name}: {text}")
        if verbose:
            print(f"    {name:<28} {row.kind:<6} {row.tried:5d}  "
                  + "  ".join(f"{row.fools[m.__name__]:{len(m.__name__)}d}"
                              for m in MATCHERS)
                  + "  " + " ".join(sorted(row.seen)))
        claims.append((f"{name}: {row.kind} in every profile",
                       row.tried > 0 and not row.wrong))
        claims.append((f"{name} would fool a simpler matcher",
                       sum(row.fools.values()) > 0))
    print(f"  {len(rows)} spellings, "
          f"{sum(row.tried for row in rows.values())} twins", flush=True)
    return claims
