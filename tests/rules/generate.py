# SPDX-License-Identifier: MIT
"""
In: a seed. Out: profiles, and for each some requests near its rules and
callers near its identities. Must never decide anything, nor depend on more
than the seed: the same seed gives the same cases for ever.

What is generated at random alone is denied by the default; what finds a
difference is a request one step away from one that is granted.
"""
import json
import random

CASES_PER_WORLD = 40
CALLERS_PER_WORLD = 12

WORDS = ["metadata", "instance", "identity", "oauth2", "token", "compute",
         "machine", "a", "b", "ab", "a-b", "a b", "x~y", "c3", "abc", "a#b"]
# What stands in a rule is literal; so is what must match it.
NAMES = ["k", "resource", "api-version", "Key", "a b", "a+b", "a&b", "x=y",
         "\u00e9", "x\\y", "n%41"]
VALUES = ["1", "2", "On", "https://vault.azure.net", "a+b", "a b", "a&k=c",
          "", "\u00e9", "\u00c9", "%41", "100%", "dom\\user", "x=y", "2%zz"]
USERS = ["root", "alice", "bob", "Alice", "billing", "j\u00fcrgen"]
GROUPS = ["root", "staff", "users", "billing", "Staff", "ops"]
PROGRAMS = ["/usr/bin/curl", "/usr/bin/python3", "/opt/app/bin/app",
            "/opt/app/bin/curl", "/opt/my app/run", "/init"]
METHODS = [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"]
NO_METHODS = [b"get", b"TRACE", b"CONNECT", b"GE", b"GETS", b"Post", b"*",
              b"GET\x00", b""]
AUTHORITIES = [
    b"169.254.169.254", b"169.254.169.254:80", b"0xa9fea9fe", b"2852039166",
    b"0251.0376.0251.0376", b"169.254.43518", b"0xA9.0xFE.0xa9fe",
    b"169.0xfea9fe", b"[::ffff:169.254.169.254]", b"169.254.169.254.:80",
    b"[::FFFF:a9fe:a9fe]:80", b"168.63.129.16", b"168.63.129.16:32526",
    b"0xa83f8110:32526", b"168.63.33040", b"0250.077.0201.020...", b"127.1",
    b"h", b"h:0", b"h:65535", b"Host.Example.", b"face", b"abc.de", b"de.fa",
    b"bad", b"x", b"-", b"a-", b"0", b"0.0.0.0", b"h:00080", b"[::1]",
    b"[fe80::1]:80", b"255.255.255.255", b"4294967295", b"0xffffffff"]
NO_AUTHORITIES = [
    b"", b".", b"...", b":80", b"h:", b"h:65536", b"h:8o", b"h:+80", b"h:-1",
    b"h:80:80", b"a:b:80", b"::1", b"[", b"]", b"[]", b"[::1", b"::1]",
    b"[::1]x", b"[::1]:", b"[fe80::1%25eth0]", b"[v1.x]", b"[1.2.3.4]",
    b"256.1.1.1", b"1.2.3.256", b"1.2.3.4.5", b"1..2", b"08", b"1.2.3.09",
    b"0x", b"1.0x.1.1", b"4294967296", b"1.16777216", b"0x100000000",
    b"00xa9", b"1a", b"0xa9fea9fe0", b"a_b", b"a b", b"h%41", b"h\\p",
    b"\xc3\xa9", b"u@h", b"u:p@169.254.169.254", b"@h", b"h@", b"--",
    b"h:99999999999999999999", b"h\x00", b"1.2.3.a", b"a.1", b"x.0x1"]
SCHEMES = [b"http://", b"HTTP://", b"Http://"]
NO_SCHEMES = [b"https://", b"ftp://", b"h2+x.y-z://", b"httpx://", b"x://"]
# not a form of target at all
NO_TARGETS = [b"h:80", b"*", b"**", b"*?x", b"/", b"metadata", b"://h/", b"x",
              b"1http://h/", b"http:/h/", b"http:h", b"http//h", b"?", b"#",
              b"h?//", b"%2f", b"\\", b" /", b"*/", b"http:///", b"ht tp://h/",
              b"http://", b"http:", b"-x://h/", b"h_://h/p", b"",
              b"http://h", b"http://h?k=1&k=2", b"/?//", b"/#//", b"/ //",
              b"/?..", b"/#..", b"//", b"/..", b"/;", b"/?&=%", b"/`", b'/"',
              b"/?`", b'/?"', b"/<", b"/?>", b"http://`/", b'http://h"/']


class World:
    """
    kind:  profile, closed or none
    text:  of the profile
    cases: (caller, endpoint, method, target)
    """

    def __init__(self, kind, text, epoch, cases):
        self.kind = kind
        self.text = text
        self.epoch = epoch
        self.cases = cases


def world(seed, index, n_cases=CASES_PER_WORLD):
    return Generator(random.Random(f"{seed}/{index}")).world(index, n_cases)


def quote(text, plain=b"", rng=None):
    """Escapes what is no letter or digit; some of these at random."""
    out = bytearray()
    for byte in text:
        char = bytes((byte,))
        if char.isalnum() or char in b"-._~:," or (plain and char in plain):
            if rng is None or rng.random() > 0.02:
                out += char
                continue
        escape = b"%%%02x" % byte
        out += escape if byte & 1 else escape.upper()
    return bytes(out)


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.chance = lambda p: rng.random() < p
        self.pick = rng.choice
        self.words = WORDS
        self.privileges = []
        self.identities = []
        self.callers = []  # (name of the identity it is near, caller)
        self.params = {}   # of each privilege
        self.near = {}     # names of the identities of each privilege
        self.rule = None   # that the last request is near

    # ---- profiles ---------------------------------------------------------

    def world(self, index, n_cases):
        kind, text = "profile", self.profile()
        roll = self.rng.random()
        if roll < 0.02:
            kind, text = "none", None
        elif roll < 0.03:
            kind, text = "closed", None
        self.callers = [self.caller() for _ in range(CALLERS_PER_WORLD)]
        cases = []
        for _ in range(n_cases):
            endpoint = self.pick(("imds", "imds", "imds", "wireserver",
                                  "hostga"))
            self.rule = None
            method, target = self.request()
            cases.append((self.who_asks(), endpoint, method, target))
        return World(kind, text, index + 1, cases)

    def who_asks(self):
        """Often one whom the rule is for."""
        near = self.near.get(self.rule and self.rule["name"], ())
        callers = [c for i, c in self.callers if i in near]
        if callers and self.chance(0.6):
            return self.pick(callers)
        return self.pick(self.callers)[1]

    def size(self):
        roll = self.rng.random()
        if roll < 0.45:
            return self.rng.randrange(0, 5)
        if roll < 0.90:
            return self.rng.randrange(5, 30)
        if roll < 0.998:
            return self.rng.randrange(60, 200)
        return 2000

    def profile(self):
        n = self.size()
        if n > 30:
            self.words = WORDS + [f"w{i}" for i in range(n // 4)]
        n_roles = max(1, n // 2)
        self.privileges = [self.privilege(i) for i in range(n)]
        self.identities = [self.identity(i)
                           for i in range(self.rng.randrange(1, 9))]
        roles = [{"name": f"r{i}", "privileges": []} for i in range(n_roles)]
        for privilege in self.privileges:
            for role in self.rng.sample(roles, min(n_roles, self.pick(
                    (0, 1, 1, 1, 1, 1, 2, 3)))):
                role["privileges"].append(privilege["name"])
        who = [i["name"] for i in self.identities] + ["nobody"]
        assignments = [{"role": role["name"], "identities": self.some(who, 3)}
                       for role in roles if self.chance(0.9)]
        # repeated, and without an object
        for _ in range(self.pick((0, 0, 1, 2))):
            self.pick(roles)["privileges"].append("nothing")
            assignments.append({
                "role": self.pick(["norole"] + [r["name"] for r in roles]),
                "identities": self.some(who, 2)})
        for role in roles:
            granted = [name for a in assignments if a["role"] == role["name"]
                       for name in a["identities"]]
            for name in role["privileges"]:
                self.near.setdefault(name, set()).update(granted)
        for items in (self.privileges, self.identities, roles, assignments):
            self.rng.shuffle(items)
        rules = {"privileges": self.privileges, "roles": roles,
                 "identities": self.identities,
                 "roleAssignments": assignments}
        if self.chance(0.03):
            rules[self.pick(list(rules))] = None
        if self.chance(0.03):
            del rules[self.pick(list(rules))]
        item = {"id": f"id-{n}", "rules": rules,
                "mode": self.pick(("enforce",) * 11 + ("Enforce", "ENFORCE",
                                  "audit", "Audit", "AUDIT", "disabled")),
                "defaultAccess": self.pick(("allow", "deny", "Deny",
                                            "ALLOW"))}
        if self.chance(0.02):
            del item["rules"]
        return json.dumps(item, ensure_ascii=self.chance(0.5))

    def some(self, names, most):
        count = min(len(names), self.rng.randrange(most + 1))
        return self.rng.sample(names, count)

    def privilege(self, i):
        segments = [self.pick(self.words)
                    for _ in range(self.pick((0, 1, 1, 2, 2, 2, 3, 4)))]
        if self.privileges and self.chance(0.5):
            # below, above, or beside another
            segments = self.pick(self.privileges)["path"].split("/")[1:]
            segments = [s for s in segments if s.replace("%", "").isalnum()]
            segments = (segments + [self.pick(self.words)])[
                :self.rng.randrange(0, 5)]
        item = {"name": f"p{i}", "path": self.rule_path(segments)}
        if self.chance(0.5):
            names = self.some(NAMES, 2)
            item["queryParameters"] = {
                self.any_case(name): self.pick(VALUES) for name in names}
        elif self.chance(0.05):
            item["queryParameters"] = None
        self.params[item["name"]] = item.get("queryParameters") or {}
        return item

    def rule_path(self, segments):
        """Owners write all of these, and mean the same."""
        path = "/" + "/".join(segments)
        if self.chance(0.7):
            return path
        at = self.rng.randrange(len(path)) if path else 0
        return self.pick((
            path.upper(), path + "/", path[1:], "/." + path, "/x/.." + path,
            path + ";v=1/", path.replace("/", "//"),
            path.replace("a", "%61"), path.replace("o", "%6F"),
            "/" + path[1:].replace("/", "%2f"), path[:at] + path[at:].title(),
            path + "/y/%2e./", "", path.replace("/", ";x/"),
        ) + ((path + self.pick(("%", "?", "/../../../../../..", "\u00e9",
                                "%zz", "%00", "%ff", "\u212a", "\\",
                                "%2541", "%5c")),)
             if self.chance(0.15) else ()))

    def any_case(self, name):
        return self.pick((name, name, name.upper(), name.title()))

    def identity(self, i):
        program = self.pick(PROGRAMS)
        item = {"name": f"i{i}"}
        if self.chance(0.5):
            item["userName"] = self.pick(USERS)
        if self.chance(0.35):
            item["groupName"] = self.pick(GROUPS)
        if self.chance(0.3):
            item["exePath"] = self.pick((
                program, program, program, program.replace("/", "//"),
                program + "/", program.replace("/", "/./"), program[1:],
                program + "/.", "." + program, program.upper(),
                program.replace("/bin/", "/bin/../bin/")))
        if self.chance(0.2):
            item["processName"] = program.rpartition("/")[2]
        if self.chance(0.04):
            item[self.pick(("userName", "groupName", "exePath",
                            "processName"))] = self.pick(("", None))
        return item

    # ---- callers ----------------------------------------------------------

    def caller(self):
        """The name of some identity, and one who is it, or not quite."""
        who = self.pick(self.identities)
        user = who.get("userName") or self.pick(USERS)
        groups = self.some(GROUPS, 2)
        process_groups = self.some(GROUPS, 2)
        if who.get("groupName"):
            self.pick((groups, process_groups)).append(who["groupName"])
        exe = self.pick(PROGRAMS)
        if who.get("exePath"):
            exe = self.pick([p for p in PROGRAMS
                             if p.lower().strip("/")[-3:]
                             in who["exePath"].lower()] or PROGRAMS)
        elif who.get("processName"):
            exe = self.pick(("/opt/", "/usr/bin/", "/")) + who["processName"]
        caller = {"flags": {"known", "names", "verified", "checked"},
                  "uid": 1000, "euid": 1000, "nlink": 1,
                  "user": user.encode(), "exe": exe.encode(),
                  "groups": [g.encode() for g in groups],
                  "process_groups": [g.encode() for g in process_groups]}
        if self.chance(0.6):
            caller["uid"] = caller["euid"] = 0
        for _ in range(self.pick((0, 0, 0, 1, 1, 2))):
            self.pick(self.CHANGES)(self, caller)
        # no more than a caller may have
        del caller["groups"][64:], caller["process_groups"][65:]
        return who["name"], caller

    def not_known(self, caller):
        caller["flags"] -= self.pick(({"known"}, {"names"}, {"verified"},
                                      {"names", "verified", "known"}))

    def odd(self, caller):
        caller["flags"] |= {self.pick(("direct", "kernel", "device", "probe",
                                       "v6-mapped", "replaced",
                                       "groups-cut"))}

    def other_uid(self, caller):
        caller[self.pick(("uid", "euid"))] = self.pick((0, 1000, 2**32 - 1))

    def other_user(self, caller):
        caller["user"] = self.pick((None, b"", b"nobody",
                                    caller["user"] and caller["user"].upper(),
                                    caller["user"] and caller["user"] + b"x",
                                    self.pick(USERS).encode()))

    def other_groups(self, caller):
        key = self.pick(("groups", "process_groups"))
        groups = caller[key]
        roll = self.rng.randrange(5)
        if roll == 0:
            groups.clear()
        elif roll == 1:
            groups.insert(self.rng.randrange(len(groups) + 1), None)
        elif roll == 2 and groups:
            # as many as there can be, the last of them counts
            most = 64 if key == "groups" else 65
            groups[:0] = [b"g%d" % i for i in range(most - len(groups))]
        elif roll == 3:
            caller[key] = [g and g.swapcase() for g in groups]
        else:
            caller["groups"], caller["process_groups"] = (
                caller["process_groups"], caller["groups"])

    def other_program(self, caller):
        exe = caller["exe"]
        caller["exe"] = self.pick((
            b"", b"/", exe.upper(), exe + b" (deleted)", exe[:-1],
            exe + b"\xff", b"/tmp" + exe, exe.rpartition(b"/")[2],
            self.pick(PROGRAMS).encode()))

    def deleted(self, caller):
        caller["nlink"] = 0
        if self.chance(0.5):
            caller["flags"] |= {"replaced"}
        else:
            caller["flags"] -= {"verified"}

    def path_unknown(self, caller):
        caller["flags"] |= {self.pick(("path-cut", "no-path"))}
        if self.chance(0.5):
            caller["flags"] -= {"verified"}

    CHANGES = [not_known, odd, odd, other_uid, other_user, other_groups,
               other_groups, other_program, deleted, path_unknown]

    # ---- requests ---------------------------------------------------------

    def request(self):
        method = b"GET"
        roll = self.rng.random()
        if roll < 0.02:
            return self.exempt()
        if roll < 0.035:
            method = self.pick(NO_METHODS)
        elif roll < 0.04:
            return self.pick((b"OPTIONS", b"OPTIONS", b"GET")), b"*"
        elif roll < 0.25:
            method = self.pick(METHODS)
        if self.chance(0.025):
            return method, self.pick(NO_TARGETS)
        path, query = self.near_rule()
        for _ in range(self.pick((0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 3))):
            mutate = self.pick(self.MUTATIONS)
            path, query = mutate(self, path, query)
        target = path if query is None else path + b"?" + query
        if self.chance(0.03):
            at = self.rng.randrange(len(target) + 1)
            target = target[:at] + bytes((self.rng.randrange(256),)) \
                + target[at + self.rng.randrange(2):]
        if self.chance(0.12):
            target = self.absolute(target)
        return method, target

    def exempt(self):
        method, target = self.pick((
            (b"PUT", b"/vmagentlog"), (b"PUT", b"/vmAgentLog"),
            (b"POST", b"/machine/?comp=telemetrydata"),
            (b"POST", b"/Machine/?comp=TelemetryData")))
        if self.chance(0.4):
            target = self.pick((
                target + b"/", target + b"?", target + b"&x=1",
                b"http://168.63.129.16" + target, target + b"#",
                target.replace(b"m", b"%6d"), target[:-1], b"/." + target))
        if self.chance(0.15):
            method = self.pick((b"GET", b"PUT", b"POST", b"put"))
        return method, target

    def near_rule(self):
        segments, params = [self.pick(self.words)
                            for _ in range(self.rng.randrange(0, 4))], {}
        if self.privileges and self.chance(0.9):
            self.rule = rule = self.pick(self.privileges)
            params = self.params[rule["name"]]
            segments = [s.split(";")[0] for s in rule["path"].split("/")
                        if s not in ("", ".", "..", "x")]
        roll = self.rng.random()
        if roll < 0.20:
            segments = segments + [self.pick(self.words)]
        elif roll < 0.25:
            segments = segments[:-1]
        elif roll < 0.30 and segments:
            segments[-1] += self.pick(("x", "-", ".", "_", "~"))
        path = b"/" + b"/".join(quote(s.encode(), b"%", self.rng)
                                for s in segments)
        return path, self.near_params(params)

    def near_params(self, params):
        pairs = []
        for name, value in params.items():
            roll = self.rng.random()
            if roll < 0.86:
                pairs.append((name, value))
            elif roll < 0.94:
                pairs.append((name, self.pick(VALUES)))
        for _ in range(self.pick((0, 0, 0, 1, 2))):
            pairs.append((self.pick(NAMES), self.pick(VALUES)))
        if self.chance(0.02):
            # more than a simple sort is good for
            pairs += [(f"n{self.rng.randrange(90)}", self.pick(VALUES[:4]))
                      for _ in range(self.rng.randrange(14, 60))]
        self.rng.shuffle(pairs)
        if not pairs:
            return self.pick((None, None, None, b"", b"&"))
        return b"&".join(
            quote(name.encode(), b"/").replace(
                b"%20", self.pick((b"%20", b"+")))
            + (b"=" if value or self.chance(0.5) else b"")
            + quote(value.encode(), b"/=", self.rng).replace(
                b"%20", self.pick((b"%20", b"+")))
            for name, value in pairs)

    def absolute(self, target):
        scheme = self.pick(SCHEMES if self.chance(0.93) else NO_SCHEMES)
        authority = self.pick(AUTHORITIES if self.chance(0.75)
                              else NO_AUTHORITIES)
        if target == b"/" and self.chance(0.5):
            target = b""
        if self.chance(0.1):
            target = self.pick((b"", b"?", b"?k=1", b"#", b"/?", b"//"))
        return scheme + authority + target

    # ---- ways to write the same, or nearly --------------------------------

    def cut(self, text):
        at = self.rng.randrange(len(text) + 1)
        return text[:at], text[at:]

    def insert(self, path, query, what):
        """In the path, in the query, or behind either."""
        if query is not None and self.chance(0.5):
            head, tail = self.cut(query)
            return path, head + what + tail
        head, tail = self.cut(path[1:])
        if self.chance(0.3):
            head, tail = path[1:], b""
        return b"/" + head + what + tail, query

    def letter_case(self, path, query):
        return path.swapcase(), query and query.title()

    def escape_one(self, path, query):
        if query and self.chance(0.5):
            at = self.rng.randrange(len(query))
            return path, query[:at] + b"%%%02X" % query[at] + query[at + 1:]
        at = self.rng.randrange(len(path))
        return (path[:at] or b"/") + b"%%%02x" % path[at] + path[at + 1:], \
            query

    def escape_twice(self, path, query):
        path, query = self.escape_one(path, query)
        return path.replace(b"%", b"%25", 1), \
            query and query.replace(b"%", b"%25", 1)

    def join(self, path, query, pieces):
        parts = path.split(b"/")
        at = self.rng.randrange(1, len(parts) + 1)
        parts.insert(at, self.pick(pieces))
        return b"/".join(parts) or b"/", query

    def dots(self, path, query):
        return self.join(path, query, (b".", b"%2e", b".", b"%2E", b"..",
                                       b"%2e.", b".%2e", b"...", b".;x"))

    def slashes(self, path, query):
        return self.join(path, query, (b"", b"%2f", b"%2F", b";", b"%5c",
                                       b"\\", b"%252f"))

    def parameter(self, path, query):
        parts = path.split(b"/")
        at = self.rng.randrange(1, len(parts))
        parts[at] += self.pick((b";", b";v=1", b"%3b", b";a;b", b"%3Bx/y"))
        return b"/".join(parts), query

    def trailing(self, path, query):
        return path + self.pick((b"/", b"/.", b"%2f", b".", b"%20", b";",
                                 b"/%2e/")), query

    def odd_byte(self, path, query):
        return self.insert(path, query, self.pick((
            b"%", b"%zz", b"%4", b"%00", b"%0a", b"%7f", b"\t", b"\x00",
            b"%c0%af", b"%e0%80%af", b"%f0%80%80%af", b"%ff", b"\xff",
            b"%ed%a0%80", b"%c3%a9", b"\xc3\xa9", b"%c3", b"%e2%82",
            b"%ef%bc%8f", b"%e2%84%aa", b"%3f", b"%3F", b"#", b"%23", b"\\",
            b"%5C", b"%2541", b"%255c", b"%2525", b"+", b" ", b"%26", b"%3d",
            b"&", b"=", b";", b"?", b"%f4%90%80%80", b"%c2%80")))

    def repeat(self, path, query):
        if not query:
            return path, self.pick((b"k=1&k=2", b"k&K", b"Key=1&key=1"))
        piece = self.pick(query.split(b"&"))
        name = piece.partition(b"=")[0]
        again = self.pick((piece, piece.swapcase(), name, name + b"=x",
                           name.upper() + b"=", b"%6b", piece + b"%20"))
        pieces = query.split(b"&")
        pieces.insert(self.rng.randrange(len(pieces) + 1), again)
        return path, b"&".join(pieces)

    def more_query(self, path, query):
        return path, (query or b"") + self.pick((
            b"&", b"&&", b"&=x", b"&=", b"=", b"&x", b"?", b"?k=1", b"&k",
            b"&%00", b"&=%", b"&=%ff", b"&a=b=c", b";k=1", b"&k=1", b"&%6B=1",
            b"%26k=1", b"&a%5cb=1", b"&a%2541=1", b"&z=%5c", b"&z=%2541"))

    def less_query(self, path, query):
        if not query:
            return path, b""
        pieces = query.split(b"&")
        pieces.pop(self.rng.randrange(len(pieces)))
        return path, b"&".join(pieces) or None

    def query_in_path(self, path, query):
        if query is None:
            return path + b"%3f", None
        return path + b"%3F" + query, None

    MUTATIONS = [letter_case, escape_one, escape_one, escape_twice, dots,
                 dots, slashes, parameter, trailing, odd_byte, odd_byte,
                 repeat, repeat, more_query, more_query, less_query,
                 query_in_path]
