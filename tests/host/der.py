# SPDX-License-Identifier: MIT
"""
In: bytes. Out: what is in them by X.690 (DER), RFC 8017 (RSA) and FIPS 197
(AES), as far as certificates, CMS and PKCS #12 need it. Must never use the
library msp-host uses: it checks what that made.
"""
import base64
import hashlib

SEQUENCE, SET, INTEGER, OCTETS, BITS, OID, UTF8 = 48, 49, 2, 4, 3, 6, 12


class Node:
    """One value; children, if it is made of others, by number."""

    def __init__(self, tag, body, whole):
        self.tag, self.body, self.whole = tag, body, whole

    def __iter__(self):
        at = 0
        while at < len(self.body):
            node, at = read(self.body, at)
            yield node

    def __getitem__(self, number):
        return list(self)[number]

    def number(self):
        return int.from_bytes(self.body, "big", signed=True)

    def oid(self):
        parts = [self.body[0] // 40, self.body[0] % 40]
        value = 0
        for byte in self.body[1:]:
            value = value << 7 | byte & 127
            if byte < 128:
                parts.append(value)
                value = 0
        return ".".join(map(str, parts))


def read(data, at=0):
    """The value at this place, and where the next one begins."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 128:
        start += length & 127
        length = int.from_bytes(data[at + 2:start], "big")
    end = start + length
    if end > len(data):
        raise ValueError("DER is cut off")
    return Node(tag, data[start:end], data[at:end]), end


def parse(data):
    node, end = read(data)
    if end != len(data):
        raise ValueError("%d bytes behind the end" % (len(data) - end))
    return node


def write(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(octets)]) + octets + body


def write_int(n):
    return write(INTEGER, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def write_oid(text):
    parts = [int(p) for p in text.split(".")]
    out = bytes([40 * parts[0] + parts[1]])
    for part in parts[2:]:
        septets = [part & 127]
        while part > 127:
            part >>= 7
            septets.insert(0, 128 | part & 127)
        out += bytes(septets)
    return write(OID, out)


# ---- RSA -------------------------------------------------------------------

SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
RSA = "1.2.840.113549.1.1.1"


def octets(n, size):
    return n.to_bytes(size, "big")


def verified(n, e, signature, message):
    """RSASSA-PKCS1-v1_5 with SHA-256: the one encoding there is."""
    size = (n.bit_length() + 7) // 8
    seen = octets(pow(int.from_bytes(signature, "big"), e, n), size)
    tail = SHA256_INFO + hashlib.sha256(message).digest()
    return len(signature) == size and seen == (
        b"\0\1" + b"\xff" * (size - 3 - len(tail)) + b"\0" + tail)


def opened(n, d, ciphertext):
    """RSAES-PKCS1-v1_5."""
    size = (n.bit_length() + 7) // 8
    block = octets(pow(int.from_bytes(ciphertext, "big"), d, n), size)
    if block[:2] != b"\0\2" or b"\0" not in block[10:]:
        raise ValueError("not encrypted for this key")
    return block[block.index(b"\0", 10) + 1:]


def public_key(spki):
    """Modulus and exponent of a SubjectPublicKeyInfo."""
    if spki[0][0].oid() != RSA:
        raise ValueError("not an RSA key")
    key = parse(spki[1].body[1:])
    return key[0].number(), key[1].number()


def write_certificate(n, e, algorithm=RSA, name="guest"):
    """What a guest sends; nobody checks who signed it."""
    sign = write(SEQUENCE, write_oid("1.2.840.113549.1.1.11"), b"\5\0")
    who = write(SEQUENCE, write(SET, write(
        SEQUENCE, write_oid("2.5.4.3"), write(UTF8, name.encode()))))
    times = write(SEQUENCE, write(23, b"200101000000Z"),
                  write(23, b"491231235959Z"))
    key = write(SEQUENCE, write_int(n), write_int(e))
    spki = write(SEQUENCE, write(SEQUENCE, write_oid(algorithm), b"\5\0"),
                 write(BITS, b"\0" + key))
    body = write(SEQUENCE, write(0xa0, write_int(2)), write_int(77), sign,
                 who, times, who, spki)
    return write(SEQUENCE, body, sign, write(BITS, b"\0" + bytes(256)))


class Certificate:
    """Of one X.509 certificate: what is signed, by whom, which key."""

    def __init__(self, node):
        fields = node[0]
        self.serial = fields[1].number()
        self.issuer, self.subject = fields[3].whole, fields[5].whole
        self.n, self.e = public_key(fields[6])
        self.signed, self.signature = fields.whole, node[2].body[1:]


# ---- AES, CBC, decryption only ---------------------------------------------

def tables():
    """S-box and its inverse, from their definition."""
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= (p << 1) ^ (0x11b if p & 128 else 0)
        for shift in (1, 2, 4):
            q ^= q << shift & 255
        q ^= 9 if q & 128 else 0
        box[p] = 0x63
        for turn in range(5):
            box[p] ^= (q << turn | q >> 8 - turn) & 255
        if p == 1:
            break
    inverse = [0] * 256
    for i, value in enumerate(box):
        inverse[value] = i
    return box, inverse


SBOX, INVERSE = tables()


def times(a, b):
    """Product in the field of AES."""
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a = a << 1 ^ (0x11b if a & 128 else 0)
        b >>= 1
    return out


TIMES = {f: [times(i, f) for i in range(256)] for f in (9, 11, 13, 14)}


def round_keys(key):
    words = [list(key[i:i + 4]) for i in range(0, len(key), 4)]
    size, rcon = len(words), 1
    while len(words) < 4 * (size + 7):
        word = list(words[-1])
        if len(words) % size == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = times(rcon, 2)
        elif size > 6 and len(words) % size == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[-size], word)])
    return [sum(words[i:i + 4], []) for i in range(0, len(words), 4)]


def unmix(state):
    out = []
    for c in range(0, 16, 4):
        col = state[c:c + 4]
        for row in range(4):
            out.append(TIMES[14][col[row]] ^ TIMES[11][col[(row + 1) % 4]] ^
                       TIMES[13][col[(row + 2) % 4]] ^
                       TIMES[9][col[(row + 3) % 4]])
    return out


def aes_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[-1])]
    for number in range(len(keys) - 2, -1, -1):
        state = [INVERSE[state[(i - 4 * (i % 4)) % 16]] for i in range(16)]
        state = [a ^ b for a, b in zip(state, keys[number])]
        if number:
            state = unmix(state)
    return bytes(state)


def aes_cbc(key, iv, data):
    keys, out = round_keys(key), b""
    for at in range(0, len(data), 16):
        block = data[at:at + 16]
        out += bytes(a ^ b for a, b in zip(aes_block(keys, block), iv))
        iv = block
    pad = out[-1]
    if not 1 <= pad <= 16 or out[-pad:] != bytes([pad]) * pad:
        raise ValueError("wrong padding")
    return out[:-pad]


# ---- PKCS #12 --------------------------------------------------------------

def pbes2(algorithm, password, data):
    """RFC 8018: PBKDF2 with HMAC-SHA256, AES in CBC mode."""
    kdf, cipher = algorithm[1]
    salt, count = kdf[1][0].body, kdf[1][1].number()
    if cipher[0].oid() != "2.16.840.1.101.3.4.1.42":
        raise ValueError("not AES-256-CBC")
    key = hashlib.pbkdf2_hmac("sha256", password, salt, count, 32)
    return aes_cbc(key, cipher[1].body, data)


def open_pfx(data, password=b""):
    """The one certificate and the one private key (n, e, d) in it."""
    cert = key = None
    safes = parse(parse(data)[1][1][0].body)
    for info in safes:
        content = info[1][0]
        if info[0].oid() == "1.2.840.113549.1.7.6":
            part = content[1]
            bags = parse(pbes2(part[1], password, part[2].body))
        else:
            bags = parse(content.body)
        for bag in bags:
            value = bag[1][0]
            if bag[0].oid() == "1.2.840.113549.1.12.10.1.3":
                cert = Certificate(parse(value[1][0].body))
            elif bag[0].oid() == "1.2.840.113549.1.12.10.1.2":
                pkcs8 = parse(pbes2(value[0], password, value[1].body))
                numbers = [v.number() for v in parse(pkcs8[2].body)]
                key = tuple(numbers[1:4])
    return cert, key


def b64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
