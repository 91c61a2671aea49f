"""A second verifier of a ledger's export, written from docs/ledger.md alone, with the standard library alone.

    python3 second.py [--key KEY.pem] [--head HASH] [--evidence FOLDER] FILE...

prints a line of JSON for each file: the faults, the number of records, and where the signed part begins.
"""

import base64
import hashlib
import json
import os
import re
import sys
from datetime import datetime, timedelta

ZEROS = "0" * 64
LARGEST = 2**53 - 1
LONGEST = 1048576
HEX = re.compile(r"[0-9a-f]{64}\Z")
COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)
NOW = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z\Z", re.ASCII)
TYPE = b"application/vnd.slipway.ledger.record.v1"


class Wrong(Exception):
    pass


# JSON that every reader reads alike.


def unique(pairs):
    result = {}
    for name, value in pairs:
        if name in result:
            raise Wrong("a name is there twice")
        result[name] = value
    return result


def integer(text):
    if text == "-0" or len(text) > 17:
        raise Wrong("not an integer that every reader keeps")
    return int(text)


def refuse(_):
    raise Wrong("not an integer")


def parse(text):
    """The object that the text is; Wrong if it is something else."""
    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_int=integer, parse_float=refuse, parse_constant=refuse
        )
    except (ValueError, RecursionError) as error:
        raise Wrong(str(error)) from error
    if not isinstance(value, dict):
        raise Wrong("not an object")
    return value


def strict(value, depth):
    """Rules 3 to 5 of a record."""
    if isinstance(value, str):
        whole(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > LARGEST:
            raise Wrong("the number is too large")
    elif isinstance(value, (dict, list)):
        if depth >= 32:
            raise Wrong("it is nested too deeply")
        if isinstance(value, dict):
            for name, inner in value.items():
                whole(name)
                strict(inner, depth + 1)
        else:
            for inner in value:
                strict(inner, depth + 1)


def whole(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Wrong("half of a surrogate pair") from error


def moment(text):
    """The instant of a time in UTC, up to the year 9000; None if it is not one."""
    found = NOW.match(text)
    if not found or text > "9001":
        return None
    try:
        return datetime.fromisoformat(found[1] + (found[2] or ".0")[:7].ljust(7, "0") + "+00:00")
    except ValueError:
        return None


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


# A record.


def record_of(text):
    record = parse(text)
    strict(record, 0)
    for name in ("at", "service", "environment", "digest", "commit", "verdict"):
        if not isinstance(record.get(name), str):
            raise Wrong(name)
    if not is_integer(record.get("seq")) or record["seq"] < 0:
        raise Wrong("seq")
    if not (record["digest"].startswith("sha256:") and HEX.match(record["digest"][7:])):
        raise Wrong("digest")
    if not COMMIT.match(record["commit"]):
        raise Wrong("commit")
    if not AT.match(record["at"]) or moment(record["at"]) is None:
        raise Wrong("at")
    actor = record.get("actor")
    if not isinstance(actor, dict) or not isinstance(actor.get("login"), str):
        raise Wrong("actor")
    begins = record.get("signed_from")
    if begins is not None and (not is_integer(begins) or begins < 0):
        raise Wrong("signed_from")
    accepted = record.get("accepted_head")
    if accepted is not None and not isinstance(accepted, str):
        raise Wrong("accepted_head")
    return record


# ECDSA on P-256 (FIPS 186-5, SP 800-186).

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


def double(point):
    """Jacobian coordinates, a = -3."""
    x, y, z = point
    if not y:
        return (0, 1, 0)
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    z3 = ((y + z) * (y + z) - gamma - delta) % P
    return (x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, z3)


def add(one, two):
    if not one[2]:
        return two
    if not two[2]:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, two
    a, b = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * b % P, x2 * a % P
    s1, s2 = y1 * z2 * b % P, y2 * z1 * a % P
    if u1 == u2:
        return double(one) if s1 == s2 else (0, 1, 0)
    h, r = (u2 - u1) % P, (s2 - s1) % P
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return (x3, (r * (v - x3) - s1 * hhh) % P, h * z1 * z2 % P)


def verify(key, message, signature):
    numbers = der(signature)
    if numbers is None:
        return False
    r, s = numbers
    if not (0 < r < N and 0 < s < N):
        return False
    e = int.from_bytes(hashlib.sha256(message).digest(), "big")
    w = pow(s, -1, N)
    u1, u2 = e * w % N, r * w % N
    g, q = G + (1,), key + (1,)
    both = add(g, q)
    point = (0, 1, 0)
    for bit in range(255, -1, -1):
        point = double(point)
        choice = (u1 >> bit & 1, u2 >> bit & 1)
        if choice != (0, 0):
            point = add(point, {(1, 0): g, (0, 1): q, (1, 1): both}[choice])
    x, _, z = point
    return bool(z) and x * pow(z, -2, P) % P % N == r


def der(data):
    """r and s of a SEQUENCE of two INTEGERs in DER."""
    if len(data) < 2 or data[0] != 0x30 or data[1] > 127 or len(data) != data[1] + 2:
        return None
    numbers, rest = [], data[2:]
    for _ in range(2):
        if len(rest) < 3 or rest[0] != 2 or not 0 < rest[1] < 128 or len(rest) < rest[1] + 2:
            return None
        body, rest = rest[2 : rest[1] + 2], rest[rest[1] + 2 :]
        if body[0] > 127 or (len(body) > 1 and body[0] == 0 and body[1] < 128):
            return None
        numbers.append(int.from_bytes(body, "big"))
    return numbers if not rest else None


def key_of(pem):
    body = pem.split("-----BEGIN PUBLIC KEY-----")[1].split("-----END PUBLIC KEY-----")[0]
    spki = base64.b64decode("".join(body.split()), validate=True)
    if not spki.startswith(SPKI) or len(spki) != 91 or spki[26] != 4:
        raise SystemExit("the key is not an uncompressed point on P-256")
    x, y = int.from_bytes(spki[27:59], "big"), int.from_bytes(spki[59:], "big")
    if (y * y - (x * x * x - 3 * x + B)) % P:
        raise SystemExit("the key is not a point on P-256")
    return (x, y)


known = {}


def signed(key, chain, line):
    text = line.get("signature")
    if text is None:
        return "unsigned"
    payload = f"{chain}\n{line['seq']}\n{line['hash']}\n".encode()
    message = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE, len(payload), payload)
    if (message, text) not in known:
        try:
            data = base64.b64decode(text.encode("ascii"), validate=True)
            good = base64.b64encode(data).decode() == text and verify(key, message, data)
        except ValueError:
            good = False
        known[message, text] = good
    return "signed" if known[message, text] else "forged"


# The export.


def lines_of(data):
    start = 0
    while start < len(data):
        at = data.find(b"\n", start, start + LONGEST)
        if at < 0:
            # Too long, or without a line feed.
            yield None
            return
        yield data[start:at]
        start = at + 1


def line_of(data, names):
    if data is None:
        raise Wrong("not a line")
    try:
        line = parse(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Wrong("not UTF-8") from error
    for name, value in line.items():
        if name not in names:
            raise Wrong("an unknown member")
        if isinstance(value, str):
            whole(value)
        elif value is not None and not is_integer(value):
            raise Wrong("of another type")
    return {name: value for name, value in line.items() if value is not None}


def header_of(data):
    line = line_of(data, ("format", "service", "environment"))
    service, environment = line.get("service"), line.get("environment")
    for name in (service, environment):
        if not isinstance(name, str) or not name or "#" in name:
            raise Wrong("not the name of a chain")
    if line.get("format") != "slipway-ledger-export/1" or service == "content":
        raise Wrong("another format")
    return service, environment


def body_of(data):
    line = line_of(data, ("seq", "prev", "hash", "record", "key", "signature", "end", "head"))
    types = {"seq": int, "end": int}
    if any(not isinstance(value, types.get(name, str)) for name, value in line.items()):
        raise Wrong("of another type")
    hashes = [line[name] for name in ("prev", "hash", "head") if name in line]
    if not all(HEX.match(text) for text in hashes):
        raise Wrong("not a hash")
    there = set(line) - {"key", "signature"}
    if there == {"seq", "prev", "hash", "record"} and 1 <= line["seq"] <= LARGEST:
        return line
    if set(line) == {"end", "head"} and 0 <= line["end"] <= LARGEST:
        return line
    raise Wrong("neither a record nor an end")


# Decisions: everything but the rules, and the signatures within the evidence.

NO_DEPLOYMENTS = ("reviewed", "requested", "approved", "rejected", "withdrawn", "permitted", "started")
HOUR, FRESH, TOLERANCE, LOOK_BACK = timedelta(hours=1), timedelta(minutes=10), timedelta(minutes=5), 20000


DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
TEXT = lambda value: isinstance(value, str)
NUMBER = lambda value: is_integer(value) and value >= 0


def either(form):
    return lambda value: value is None or form(value)


def listed(form):
    return lambda value: isinstance(value, list) and all(map(form, value))


def shaped(needed, more):
    """An object with the members `needed`, and `more` that may be absent."""
    return lambda value: isinstance(value, dict) and (
        all(name in value and form(value[name]) for name, form in needed.items())
        and all(form(value[name]) for name, form in more.items() if name in value)
    )


NUMBERS, ACTOR = listed(NUMBER), shaped({"login": TEXT}, {"id": either(NUMBER)})
ACTORS = listed(ACTOR)
ASKED = {"binding": TEXT, "expires": TEXT, "head": TEXT, "commits": NUMBER, "range": TEXT, "people": TEXT}
ASKS = {**{name: either(TEXT) for name in ("base", "plan", "repository")}, "pull_requests": NUMBERS, "contributors": ACTORS, "unattributed": listed(TEXT)}
PERMIT = {"base": either(TEXT), "pulls": NUMBERS, "reviews": NUMBERS, "approvers": ACTORS, "requests": NUMBERS}
FORM = shaped(
    {"actor": ACTOR},
    {
        **{name: either(TEXT) for name in ("run", "task_definition", "policy", "contract_path", "reason", "command")},
        **{name: either(NUMBER) for name in ("answers", "under")},
        "account": either(lambda value: TEXT(value) and re.match(r"[0-9]{12}\Z", value)),
        "previous": either(lambda value: TEXT(value) and DIGEST.match(value)),
        "rollback": either(shaped({}, {"from": either(lambda value: TEXT(value) and DIGEST.match(value))})),
        "break_glass": either(shaped({"reason": TEXT, "by": ACTOR, "expires": TEXT}, {})),
        "request": either(shaped(ASKED, ASKS)),
        "permit": either(shaped({"expires": TEXT, "head": TEXT}, {**PERMIT, "plan": either(TEXT), "evidence": either(TEXT), "contract": either(TEXT), "range": either(TEXT), "tip": either(TEXT)})),
    },
)


def time(text):
    """As `moment`, where something else is a fault."""
    instant = moment(text)
    if instant is None:
        raise Wrong("not a time")
    return instant


def deploys(record):
    """True of what nobody can read, too: it may be a deployment."""
    return record is None or not FORM(record) or record["verdict"] not in NO_DEPLOYMENTS


def name_of(record):
    """The hash of the evidence that a permit names, if it names some."""
    permit = record.get("permit")
    named = permit.get("evidence") if isinstance(permit, dict) else None
    digest = named.removeprefix("sha256:") if isinstance(named, str) else ""
    return digest if digest != named and HEX.match(digest) else None


class Known:
    """A chain: its good lines by their numbers, and the numbers of those that nobody can read or that stand elsewhere."""

    def __init__(self, good, unread):
        self.lines = {seq: line for seq, (line, _) in good.items()}
        # What is unread counts whatever else has its number.
        self.records = {seq: record for seq, (_, record) in sorted(good.items())}
        self.events = sorted({**self.records, **dict.fromkeys(unread)}.items())

    def before(self, seq):
        """What comes before a number, newest first; None stands for what is unread."""
        return [(number, record) for number, record in reversed(self.events) if number < seq]


def decided(folder, known):
    """What is wrong with the permits."""
    faults, kept = set(), False
    for seq, record in known.records.items():
        if record["verdict"] != "permitted":
            continue
        digest = name_of(record)
        if digest is None:
            faults.add(("evidence-missing" if kept else "undecided", seq))
            continue
        kept = True
        fault = evidence_of(os.path.join(folder, f"{digest}.json"), digest, known, seq)
        if fault:
            faults.add((fault, seq))
    return faults


def evidence_of(path, digest, known, seq):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return "evidence-missing"
    if hashlib.sha256(data).hexdigest() != digest:
        return "evidence-replaced"
    try:
        kept = parse(data.decode("utf-8"))
        strict(kept, 0)
        if kept["format"] != "slipway-evidence/6":
            return "undecided"
        record = known.records[seq]
        sound = of_the_permit(kept, record) and in_chain(kept, known, seq) and soaks(kept) and rests(kept, record)
        return None if sound else "decision-differs"
    except (Wrong, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "decision-differs"


def of_the_permit(kept, record):
    """Step 2."""
    contract, glass = kept["contract"], record.get("break_glass")
    gate = parse(contract["gate"])
    if contract["declared"] is not True or not (contract["follows"] or gate["required"]):
        return False
    if gate.get("plan") and kept.get("plan") is None and "promotion" in kept["judged"]:
        return False
    judged = kept["judged"].get("promotion") or kept["judged"]["rollback"]
    broken = any(rule["answer"] == "break-glass" for rule in kept["rules"])
    return (
        all(record.get(name) == contract[name] for name in ("service", "environment", "account"))
        and record["digest"] == kept["digest"]
        and record["permit"].get("plan") == kept.get("plan")
        and record["permit"].get("contract") == "sha256:" + hashlib.sha256(kept["host"]["contract"]["text"].encode()).hexdigest()
        and record.get("contract_path") == kept["host"]["contract"]["path"]
        and record.get("policy") == "sha256:" + hashlib.sha256(contract["gate"].encode()).hexdigest()
        and (record.get("rollback") is not None) == ("rollback" in kept["judged"])
        and (glass is not None) == broken
        and (glass is None or glass["reason"] == judged["break_glass"])
    )


def follow(lines, service, environment):
    """Of step 4, that lines of the evidence are a part of one chain."""
    newer = None
    for line in lines:
        record = record_of(line["record"])
        if (record["seq"], record["service"], record["environment"]) != (line["seq"], service, environment):
            return False
        if hashlib.sha256((line["prev"] + line["record"]).encode()).hexdigest() != line["hash"]:
            return False
        if newer and (newer["prev"] != line["hash"] or newer["seq"] != line["seq"] + 1):
            return False
        newer = line
    return newer is None or newer["seq"] != 1 or newer["prev"] == ZEROS


def in_chain(kept, known, seq):
    """Step 3, and of step 4 what is not about signatures."""
    own, record, contract = kept["own"], known.records[seq], kept["contract"]
    back = kept["judged"].get("rollback") or {}
    more = [back.get(name) for name in ("healthy", "newest", "by_this_gate")]
    for line in own + [line for line in more if line is not None]:
        if line["seq"] >= seq or line["seq"] not in known.lines or known.lines[line["seq"]]["hash"] != line["hash"]:
            return False
    if not follow(own, contract["service"], contract["environment"]):
        return False
    if contract["follows"] is None and kept["before"]:
        return False
    if not follow(kept["before"], contract["service"], contract["follows"]):
        return False
    settling = (
        it
        for it in (json.loads(line["record"]) for line in own)
        if FORM(it) and it["verdict"] == "healthy" and not it.get("rollback") and not it.get("break_glass")
    )
    if own and own[-1]["seq"] != 1 and len(own) < LOOK_BACK:
        newest = next(settling, None)
        if newest is None or (newest.get("under") is not None and newest["under"] < own[-1]["seq"]):
            return False
    last = own[0]["seq"] if own else 0
    between = [it for number, it in known.before(seq) if number > last]
    if any(deploys(it) or it["verdict"] in ("rejected", "withdrawn") for it in between):
        return False
    return not under_way(known, record) and in_time(known, seq) and leaves(known, record)


def leaves(known, record):
    """The digests that the record says it leaves."""
    before = [it for _, it in known.before(record["seq"])]
    place = next((place for place, it in enumerate(before) if deploys(it)), len(before))
    last = before[place] if place < len(before) else {}
    if last is None:
        return True
    previous = last.get("digest") if last.get("verdict") == "healthy" else last.get("previous")
    since = before[:place]
    began = next((it["digest"] for it in since if it["verdict"] == "started" and not it.get("rollback")), None)
    others = [it for it in (began, previous, last.get("digest")) if it and it != record["digest"]]
    rollback = record.get("rollback")
    return record.get("previous") == previous and (
        rollback is None or rollback.get("from") == (others[0] if others else None)
    )


def under_way(known, record):
    """A deployment for which the record need not wait is not counted."""
    late = time(record["at"]) + TOLERANCE
    for _, it in known.before(record["seq"]):
        if deploys(it):
            return False
        if it["verdict"] == "started" and late < time(it["at"]) + HOUR:
            return record.get("rollback") is None and not continues(record.get("run"), it.get("run"))
    return False


def continues(run, began):
    """True if a page is that of the run that began something, in the same attempt or in a later one."""
    if run is None or began is None or run == began:
        return run is not None and run == began
    attempts = [re.match(r"(.*)/attempts/\+?([0-9]+)\Z", page, re.DOTALL) for page in (run, began)]
    if None in attempts:
        return False
    (own, attempt), (other, earlier) = (found.groups() for found in attempts)
    return own == other and 2**64 > int(attempt) > int(earlier)


def in_time(known, seq):
    at = time(known.records[seq]["at"])
    earlier = [time(record["at"]) for number, record in known.records.items() if number < seq]
    later = [time(record["at"]) for number, record in known.records.items() if number > seq]
    return at + TOLERANCE >= max(earlier, default=at) and at <= min(later, default=at) + TOLERANCE


def soaks(kept):
    """That the evidence says when the anchor got the record that a soak counts from."""
    promotion, contract, digest = kept["judged"].get("promotion"), kept["contract"], kept["digest"]
    if promotion is None or contract["follows"] is None or parse(contract["gate"]).get("soak") is None:
        return True
    for record in (json.loads(line["record"]) for line in kept["before"]):
        left = FORM(record) and record["verdict"] == "healthy" and (record.get("rollback") or {}).get("from") == digest
        if FORM(record) and (left or (record["digest"] == digest and deploys(record))):
            return left or record["verdict"] != "healthy" or promotion.get("anchored") is not None
    return True


def commits_of(kept, record):
    """The commits that a promotion brings, oldest first, by GitHub's answers; None if they do not tell."""
    github = (kept["judged"].get("promotion") or {}).get("github")
    if not github:
        return None
    asked = {exchange["request"]: exchange for exchange in github["exchanges"]}
    name = lambda path, page: f"GET /repos/{github['repository']}/{path}per_page=100&page={page}"

    def answer(path, page):
        exchange = asked.get(name(path, page), {})
        return json.loads(exchange["answer"]) if 200 <= exchange.get("status", 0) < 300 else None

    base, tip = record["permit"].get("base"), record["commit"]
    path = f"compare/{base}...{tip}?"
    if name(path, 1) in asked:
        first = answer(path, 1)
        if first is None or first["total_commits"] > 2500:
            return None
        pages = [first] + [answer(path, page) for page in range(2, -(-first["total_commits"] // 100) + 1)]
        if None in pages:
            return None
        commits = [commit["sha"] for page in pages for commit in page["commits"]]
        if len(set(commits)) != first["total_commits"]:
            return None
        return commits if first["status"] == "ahead" else [tip]
    path = f"commits?sha={tip}&"
    pages = [answer(path, 1)]
    if pages[0] and len(pages[0]) == 100:
        pages += [answer(path, page) for page in range(2, 7)]
    if None in pages:
        return None
    all_of_it = [commit for page in pages for commit in page]
    names = {commit["sha"] for commit in all_of_it}
    if len(all_of_it) > 500 or any(it["sha"] not in names for commit in all_of_it for it in commit["parents"]):
        return None
    return [commit["sha"] for commit in reversed(all_of_it) if commit["sha"] != base or base == tip]


def tip_of(kept):
    """The newest commit of the gate's branch, by GitHub's answers; None if they do not tell."""
    github = (kept["judged"].get("promotion") or {}).get("github")
    branch = json.loads(kept["contract"]["gate"])["branch"]
    asked = f'ref(qualifiedName:"refs/heads/{branch}"){{target{{oid}}}}'
    for exchange in github["exchanges"] if github else []:
        query = (exchange.get("query") or {}).get("query", "")
        if asked in query and 200 <= exchange.get("status", 0) < 300:
            try:
                return json.loads(exchange["answer"])["data"]["repository"]["ref"]["target"]["oid"]
            except (KeyError, TypeError, ValueError):
                return None
    return None


def rests(kept, record):
    """Of step 6, the head, the tip, the range and the time."""
    if record["permit"].get("tip") != tip_of(kept):
        return False
    commits = commits_of(kept, record)
    lines = "".join(f"{commit}\n" for commit in commits or [])
    if record["permit"].get("range") != (hashlib.sha256(lines.encode()).hexdigest() if commits else None):
        return False
    heads = [line["hash"] for line in kept["own"] if deploys(json.loads(line["record"]))]
    late = time(record["at"]) - time(kept["now"])
    return record["permit"]["head"] == (heads[0] if heads else ZEROS) and timedelta(seconds=-1) < late <= FRESH


def check(data, key, head, evidence=None):
    faults = set()
    lines = lines_of(data)
    try:
        service, environment = header_of(next(lines, None))
    except Wrong:
        return {("malformed", 1)}, 0, None
    chain = f"{service}#{environment}"
    last, own, ended, number, records = 0, ZEROS, False, 1, 0
    unproven, begins, good, unread = [], None, {}, set()
    for data in lines:
        number += 1
        try:
            line = body_of(data)
            if ended:
                raise Wrong("after the end")
        except Wrong:
            faults.add(("malformed", number))
            break
        if "end" in line:
            ended = True
            if (line["end"], line["head"]) != (last, own):
                faults.add(("cut-off", last))
            continue
        records += 1
        seq, fault, record = line["seq"], None, None
        text = line["record"].encode("utf-8")
        if hashlib.sha256(line["prev"].encode() + text).hexdigest() != line["hash"]:
            fault = "altered"
        else:
            try:
                record = record_of(line["record"])
                place = (record["seq"], record["service"], record["environment"])
                if place != (seq, service, environment):
                    fault = "reordered"
            except Wrong:
                fault = "altered"
        if key:
            state = signed(key, chain, line)
            if state != "signed":
                unproven.append((state, seq))
            elif not fault:
                named = record.get("signed_from")
                begins = min(1 if named is None else named, seq)
        if fault:
            faults.add((fault, seq))
        elif evidence and not FORM(record):
            faults.add(("altered", seq))
        if last and seq <= last:
            unread.add(seq)
            if not fault:
                faults.add(("reordered", seq))
            continue
        if fault or not FORM(record):
            unread.add(seq)
        else:
            good[seq] = (line, record)
        if seq > last + 1:
            faults.add(("missing", last + 1, seq - 1))
        elif line["prev"] != own:
            faults.add(("forked", seq))
        last, own = seq, line["hash"]
    if not ended or (head and head != own):
        faults.add(("cut-off", last))
    if evidence:
        faults.update(decided(evidence, Known(good, unread)))
    faults.update(one for one in unproven if one[1] >= (1 if begins is None else begins))
    return faults, records, begins


def main(arguments):
    key = head = evidence = None
    while arguments and arguments[0] in ("--key", "--head", "--evidence"):
        option, value, arguments = arguments[0], arguments[1], arguments[2:]
        if option == "--key":
            with open(value, encoding="utf-8") as file:
                key = key_of(file.read())
        elif option == "--evidence":
            evidence = value
        else:
            head = value
    for name in arguments:
        with open(name, "rb") as file:
            faults, records, begins = check(file.read(), key, head, evidence)
        print(json.dumps({"faults": sorted(map(list, faults)), "records": records, "signed_from": begins}))


if __name__ == "__main__":
    main(sys.argv[1:])
