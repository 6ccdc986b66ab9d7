# SPDX-License-Identifier: MIT
"""
In: a build directory, the sources of the engine. Out: whether each of some
deliberate faults of one line would be noticed by the comparison with the
walk, or by the tables. Must never touch a source: each fault goes into a
copy of its file, the rest is linked from the library as it is built.
"""
import concurrent.futures
import os
import shlex
import subprocess
import tempfile

import driver
import generate
import tables

SEED = "faults"
FIRST = 100   # worlds that most faults do not survive
WORLDS = 500  # what any must not

# Line as it is, line as it must not be. Each is the only one of its kind in
# its file, so that the table follows the code or fails. What two lines guard
# together is not here: without one of them nothing changes.
CANON = (
    ("if (c == '+' && r->plus)", "if (c == '+')"),
    ("if (c == '+' && r->plus)", "if (0)"),
    ("return hi << 4 | lo;", "return lo << 4 | hi;"),
    ("if (hi >= 0 && lo >= 0) {", "if (hi >= 0) {"),
    ("} else if (c < 0xc2 || c > 0xf4) {", "} else if (c < 0xc0) {"),
    ("u->low = c == 0xe0 ? 0xa0 : 0x80;  /* below: overlong */",
     "u->low = 0x80;"),
    ("u->high = c == 0xed ? 0x9f : 0xbf; /* above: surrogates */",
     "u->high = 0xbf;"),
    ("seen->bad_utf8 = u.bad || u.left;", "seen->bad_utf8 = u.bad;"),
    ("seen->control = seen->control || c < 0x20 || c == 0x7f;",
     "seen->control = seen->control || c < 0x20;"),
    ("seen->non_ascii = seen->non_ascii || c >= 0x80;",
     "seen->non_ascii = seen->non_ascii || c > 0xe1;"),
    ("if (text[i] == '\\\\')", "if (0)"),
    ("if (text[i] == '%' && len - i > 2 && hex_byte(text[i + 1]) &&",
     "if (text[i] == '%' && len - i > 3 && hex_byte(text[i + 1]) &&"),
    ("if (c == '\\\\')", "if (0)"),
    ("if (hex_byte(c) && hex_byte(next_byte(&ahead)))", "if (0)"),
    ("if (path[i - 1] == '/' && path[i] == '/')", "if (0)"),
    ("if (c == '.' && before == '.')",
     "if (c == '.' && before == '.' && r.text[r.at - 1] == '.')"),
    ("if (seen.question)", "if (0)"),
    ("s->cut = s->cut || c == ';';", "s->cut = c == ';';"),
    ("s->cut = s->cut || c == ';';", "s->cut = false;"),
    ("put(s, (char)msp_ascii_lower((unsigned char)c));", "put(s, (char)c);"),
    ("if (!s->dots || piece > 2) {", "if (!s->dots || piece > 1) {"),
    ("out[n++] = (char)msp_ascii_lower((unsigned char)c);",
     "out[n++] = (char)c;"),
    ("if (memchr(text, '@', len))", "if (0)"),
    ("if (port > UINT16_MAX)", "if (0)"),
    ("base = 8;", "base = 10;"),
    ("if (part > 0xff || n == 3)", "if (n == 3)"),
    ("if (n && part >> (32 - 8 * n))", "if (0)"),
    ("if (IN6_IS_ADDR_V4MAPPED(&v6))", "if (0)"),
    ("while (len && text[len - 1] == '.')", "while (0)"),
)
REQUEST = (
    ("if (!method_allowed(r->method, method_len))", "if (0)"),
    ("raw = check_raw(r);", "raw = MSP_CANON_OK;"),
    ("if (c <= ' ' || c == 0x7f)", "if (c < ' ' || c == 0x7f)"),
    ('if (!msp_ascii_equal(r->target, prefix, "http://", 7))', "if (0)"),
    ("for (i = 1; i < r->n_pairs && !r->duplicates; i++) {",
     "for (i = 2; i < r->n_pairs && !r->duplicates; i++) {"),
    ("r->ambiguous = is_ambiguous(r, &r->pairs[i]);",
     "r->ambiguous = is_ambiguous(r, &r->pairs[0]);"),
    ("for (k = i; k && pair_less(r, &moved, &r->pairs[k - 1]); k--)",
     "for (k = i; k > 1 && pair_less(r, &moved, &r->pairs[k - 1]); k--)"),
    ("for (i = r->n_pairs; i-- > 1;) {", "for (i = r->n_pairs; i-- > 2;) {"),
    ("for (i = r->n_pairs / 2; i-- > 0;)",
     "for (i = r->n_pairs / 2; i-- > 1;)"),
    ("*count = high - low;", "*count = high > low;"),
    ("return cmp < 0 || (!cmp && a->name < b->name);", "return cmp < 0;"),
    ("if (code || !name_len)", "if (code)"),
    ("if (!strcmp(request->method, exempt[i].method) &&", "if ("),
    ("if (!request || request->form == MSP_FORM_OTHER)", "if (!request)"),
)
PLAIN = (
    ("O, 0, O, O,  0, B, Q, 0,  0, 0, 0, Q,  0, 0, M, M,",
     "O, 0, O, O,  0, B, Q, 0,  0, 0, 0, Q,  0, 0, 0, M,"),
    ("0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, P,  O, Q, O, P,",
     "0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  O, Q, O, P,"),
    ("r->text[i] = (char)msp_ascii_lower(path[i]);",
     "r->text[i] = (char)path[i];"),
    ("r->slash = len > 1 && path[len - 1] == '/';", "r->slash = false;"),
    ("if (value == at->name)", "if (0)"),
    ("if (c < ' ' || c >= 0x7f || c == '%' || c == '\\\\')",
     "if (c < ' ' || c >= 0x7f || c == '%')"),
    ("if (c < ' ' || c >= 0x7f || c == '%' || c == '\\\\')",
     "if (c < ' ' || c >= 0x7f || c == '\\\\')"),
    ("return msp_ascii_lower((unsigned char)c);",
     "return (unsigned char)c;"),
    ("} else if (c == '=' && !at.value) {", "} else if (c == '=') {"),
    ("return end == r->target_len;", "return true;"),
)
RENDER = (
    ("if (!r->text_len || r->slash)", "if (!r->text_len)"),
    ('#define PATH_ENCODED  "%#?;<>`"', '#define PATH_ENCODED "%?;<>`"'),
)
RULES = (
    ("copy[i] = (char)msp_ascii_lower((unsigned char)from->text[i]);",
     "copy[i] = from->text[i];"),
    ("r->n_by_group += who_class(&r->who[i]) <= 1;",
     "r->n_by_group = r->n_who;"),
    ("rule->roles[rule->n_roles++] = set;",
     "rule->roles[0] = set, rule->n_roles = 1;"),
    ("x = a->path[i] == '/' ? 1 : (unsigned char)a->path[i];",
     "x = (unsigned char)a->path[i];"),
    ("rule->path[node->path_len] == '/');", "true);"),
    ("if (!kept || compare_names(&list[kept - 1], &list[i]))", "if (!kept)"),
    ("(w->exe || w->process ? MSP_NEED_EXE : 0U);",
     "(w->exe ? MSP_NEED_EXE : 0U);"),
    ("r->access = profile->access;", "r->access = MSP_ACCESS_ALLOW;"),
    ("r->mode = profile->mode;", "r->mode = MSP_MODE_ENFORCE;"),
)
DECISION = (
    ("if (a_len != b_len || memcmp(a_part, b_part, a_len) != 0)",
     "if (a_len != b_len)"),
    ("if (*len != 1 || **part != '.')", "if (true)"),
    ("!(c->flags & MSP_CALLER_GROUPS_CUT);", "true;"),
    ("return groups_known(c) &&", "return (c->flags & MSP_CALLER_KNOWN) &&"),
    ("is_one_of(c->process_groups, n_process_groups(c), group));",
     "false);"),
    ("if (who->group && !in_group(c, who->group))", "if (0)"),
    ("bool exe = (c->flags & MSP_CALLER_EXE_VERIFIED) &&",
     "bool exe = true &&"),
    ("for (i = 0; i < n_user_groups(c); i++)",
     "for (i = 0; i + 1 < n_user_groups(c); i++)"),
    ("if (*best && (*best)->index < who->index)", "if (*best)"),
    ("if (!w->matched || rule->index < w->matched->index)",
     "if (!w->matched)"),
    ("if (w->granted && w->granted->index < rule->index)",
     "if (w->granted)"),
    ("return p->value_len == param->value_len &&",
     "return p->value_len <= param->value_len &&"),
    ("if (!pair || !value_equals(r, pair, param))", "if (!pair)"),
    ("if (count > 1)", "if (count > 2)"),
    ("if (node->n_keyed && r->ambiguous && name_ambiguous(r))", "if (0)"),
    ("if (w.ambiguous || w.duplicate) {", "if (w.duplicate) {"),
    ("deny_canon(out, w.duplicate ? MSP_CANON_DUPLICATE_PARAM",
     "deny_canon(out, !w.ambiguous ? MSP_CANON_DUPLICATE_PARAM"),
    ("} else if (w.matched) {",
     "} else if (w.matched && rules->access == MSP_ACCESS_DENY) {"),
    ("else if (elevated && msp_request_exempt(request))",
     "else if (msp_request_exempt(request))"),
    ("else if (!elevated && endpoint != MSP_ENDPOINT_IMDS)",
     "else if (!elevated && endpoint == MSP_ENDPOINT_WIRESERVER)"),
    ("else if (caller->flags & MSP_CALLER_DIRECT)", "else if (0)"),
    ("caller->flags & MSP_CALLER_KERNEL)", "0)"),
    ("if (out->verdict == MSP_DENY && rules->mode == MSP_MODE_AUDIT)",
     "if (rules->mode == MSP_MODE_AUDIT)"),
    ("if (rules->mode == MSP_MODE_DISABLED) {", "if (0) {"),
    ("if (request->canon)",
     "if (request->canon && rules->access == MSP_ACCESS_DENY)"),
)
EXPLAIN = (
    ("return !strncmp(path, rule->path, n) && ends(path[n]);",
     "return !strncmp(path, rule->path, n);"),
    ("if (n > 1)", "if (n > 2)"),
    ("if (odd(*seen))", "if (0)"),
    ("} else if (out->reason != MSP_REASON_NO_IDENTITY) {", "} else {"),
)
CALLER = (
    ("return caller->uid == 0 && caller->euid == 0;",
     "return caller->euid == 0;"),
    ("return caller->uid == 0 && caller->euid == 0;",
     "return caller->uid == 0;"),
    ("return slash ? slash + 1 : caller->exe_path;",
     "return slash ? slash : caller->exe_path;"),
)
FAULTS = [(f"libmsp/{name}.c", old, new) for name, table in (
    ("canon", CANON), ("request", REQUEST), ("request_plain", PLAIN),
    ("request_render", RENDER), ("rules", RULES), ("decision", DECISION),
    ("explain_walk", EXPLAIN), ("caller", CALLER)) for old, new in table]


def with_fault(source, old, new):
    """The text of the file with the fault, or None if it has no such line."""
    with open(source, encoding="utf-8") as f:
        lines = f.read().split("\n")
    at = [i for i, line in enumerate(lines) if line.strip() == old]
    if len(at) != 1:
        return None
    lines[at[0]] = new
    return "\n".join(lines)


def command(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.split()


def build_with(build, scratch, source, text):
    """decide with one object of the library made from the text."""
    compiler = shlex.split(os.environ.get("CC") or "cc")
    changed = os.path.join(scratch, "changed.c")
    with open(changed, "w", encoding="utf-8") as f:
        f.write(text)
    command(compiler + ["-std=c11", "-D_GNU_SOURCE", "-O1", "-w", "-fPIC",
                        "-Iinclude", "-I.", "-c", changed,
                        "-o", changed + ".o"])
    program = os.path.join(scratch, "decide")
    # The archive has the object too, but nothing is left to take it for.
    command(compiler + ["-pie", "-o", program, changed + ".o",
                        os.path.join(build, "tests/rules/decide.o"),
                        os.path.join(build, "libmsp.a")]
            + command(["pkg-config", "--libs", "yajl"]))
    return program


class Answers:
    """Cases with their right answers, those of the tables last."""

    def __init__(self):
        self.parts = []
        for first, behind in ((0, FIRST), (FIRST, WORLDS)):
            worlds = [generate.world(SEED, i) for i in range(first, behind)]
            self.parts.append((worlds, driver.expect(worlds)))
        worlds = [world for table in tables.load() for world in table.worlds]
        self.parts.append((worlds, driver.expect(worlds)))

    def noticed(self, program):
        """How many answers of the first part with one are wrong, or why."""
        tried = 0
        for worlds, expected in self.parts:
            try:
                got = driver.ask(program, worlds)
            except RuntimeError as error:
                return str(error).rpartition(": exit")[2] or "died"
            wrong = sum(a != b for mine, its in zip(expected, got)
                        for a, b in zip(mine, its))
            tried += len(expected[1])
            if wrong:
                return f"{wrong} of {tried}"
        return ""


def try_fault(build, answers, fault):
    """(what is claimed, whether it holds, what was seen)"""
    source, old, new = fault
    claim = f"{source}: '{old}' -> '{new}'"
    text = with_fault(source, old, new)
    if text is None:
        return claim + ": there is no such line, or more than one", False, ""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            program = build_with(build, scratch, source, text)
        except RuntimeError as error:
            return f"{claim}: {error}", False, ""
        seen = answers.noticed(program)
    return claim + " is noticed", bool(seen), seen


def run(build, some, verbose):
    answers = Answers()
    # without a fault nothing must be noticed
    sound = answers.noticed(os.path.join(build, "tests/rules/decide"))
    if sound:
        return [(f"the library has no fault of its own ({sound})", False)]
    chosen = FAULTS[::-(-len(FAULTS) // some)] if some else FAULTS
    with concurrent.futures.ThreadPoolExecutor(
            len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(lambda f: try_fault(build, answers, f), chosen))
    claims = [("the library has no fault of its own", True)]
    for claim, holds, seen in found:
        if verbose:
            print(f"    {seen or 'NOT SEEN':<16} {claim}")
        claims.append((claim, holds))
    print(f"  {len(chosen)} of {len(FAULTS)} faults tried, "
          f"{sum(holds for _, holds, _ in found)} noticed", flush=True)
    return claims
