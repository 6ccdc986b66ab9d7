# SPDX-License-Identifier: MIT
"""
In: a table of requests, byte by byte. Out: for each its exact status, whether
the connection stays, and what reached the host: nothing, or one request that
has one reading, is the one that was authorized, and is signed as it is.
"""
import collections

import wire
import world
from recorded import CLOSED, OURS, Recorded, converse_all
from world import IMDS, NOBODY, WIRESERVER

HOST = b"Host: 169.254.169.254\r\n"
GET = b"GET PATH HTTP/1.1\r\n" + HOST
POST = b"POST PATH HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\n" + HOST + END
OPEN, SHUT = True, False
# What reached the host. NOTHING, or what must be true of the one request;
# None: it has no body and no header that the client did not send.
NOTHING = ()

# name, bytes (PATH: the row's own), status, connection stays
REFUSED = [
    # ---- two readings of the length
    ("length and chunked", POST + b"Content-Length: 5\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("chunked and length", POST + b"Transfer-Encoding: chunked\r\n"
     b"Content-Length: 5\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("two lengths", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n"
     b"abcd", 400, SHUT),
    ("the same length twice", POST + b"Content-Length: 3\r\n"
     b"Content-Length: 3\r\n\r\nabc", 400, SHUT),
    ("list of lengths", POST + b"Content-Length: 3, 3\r\n\r\nabc", 400, SHUT),
    ("length with a sign", POST + b"Content-Length: +3\r\n\r\nabc", 400,
     SHUT),
    ("negative length", POST + b"Content-Length: -1\r\n\r\n", 400, SHUT),
    ("hexadecimal length", POST + b"Content-Length: 0x3\r\n\r\nabc", 400,
     SHUT),
    ("empty length", POST + b"Content-Length:\r\n\r\n", 400, SHUT),
    ("length with a blank in it", POST + b"Content-Length: 1 2\r\n\r\n", 400,
     SHUT),
    ("length in fullwidth digits", POST + "Content-Length: \uff13\r\n\r\nabc"
     .encode(), 400, SHUT),
    ("length of 2^64 - 1", POST + b"Content-Length: 18446744073709551615"
     b"\r\n\r\n", 400, SHUT),
    ("length of 2^64 + 3", POST + b"Content-Length: 18446744073709551619"
     b"\r\n\r\nabc", 413, SHUT),
    ("length with a blank before the colon", POST + b"Content-Length : 3"
     b"\r\n\r\nabc", 400, SHUT),
    ("coding that is not chunked", POST + b"Transfer-Encoding: gzip\r\n\r\n",
     400, SHUT),
    ("coding that ends in chunked", POST + b"Transfer-Encoding: gzip, chunked"
     b"\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("chunked that is not the last", POST + b"Transfer-Encoding: chunked, gzip"
     b"\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n"
     b"0\r\n\r\n" + NEXT, 400, SHUT),
    ("two codings", POST + b"Transfer-Encoding: chunked\r\n"
     b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("coding that looks like chunked", POST + b"Transfer-Encoding: xchunked"
     b"\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("chunked with a parameter", POST + b"Transfer-Encoding: chunked;q=1"
     b"\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("chunked in quotes", POST + b'Transfer-Encoding: "chunked"\r\n\r\n'
     b"0\r\n\r\n" + NEXT, 400, SHUT),
    ("empty coding", POST + b"Transfer-Encoding:\r\n\r\n", 400, SHUT),
    ("identity and a length", POST + b"Transfer-Encoding: identity\r\n"
     b"Content-Length: 3\r\n\r\nabc", 400, SHUT),
    ("coding with a blank before the colon", POST +
     b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("coding with a tab before the colon", POST +
     b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("coding after a control byte", POST +
     b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("coding in HTTP/1.0", b"POST PATH HTTP/1.0\r\n" + HOST +
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, SHUT),
    # ---- chunks
    ("chunk size with a prefix", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400,
     SHUT),
    ("chunk size with a sign", CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400,
     SHUT),
    ("negative chunk size", CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n", 400, SHUT),
    ("chunk size after a blank", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", 400,
     SHUT),
    ("chunk size before a blank", CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400,
     SHUT),
    ("no chunk size", CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400, SHUT),
    ("chunk size that is none", CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n", 400,
     SHUT),
    ("chunk size over 64 bits", CHUNKED + b"10000000000000003\r\nabc\r\n"
     b"0\r\n\r\n", 413, SHUT),
    ("chunk longer than its size", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400,
     SHUT),
    ("chunk shorter than its size", CHUNKED + b"5\r\nabc\r\n0\r\n\r\n", 400,
     SHUT),
    ("chunk without its end", CHUNKED + b"3\r\nabc0\r\n\r\n", 400, SHUT),
    # ---- lines
    ("folded line", GET + b"A: b\r\n c\r\n\r\n", 400, SHUT),
    ("folded line after a tab", GET + b"A: b\r\n\tc\r\n\r\n", 400, SHUT),
    ("folded line in between", GET + b"A: b\r\n c\r\nB: d\r\n\r\n", 400,
     SHUT),
    ("first line folded", b"GET PATH HTTP/1.1\r\n A: b\r\n" + HOST + END, 400,
     SHUT),
    ("fold that makes a coding", POST + b"Transfer-Encod: chunked\r\n ing"
     b"\r\n\r\n0\r\n\r\n" + NEXT, 400, SHUT),
    ("fold that makes a length", POST + b"Content-Len: 3\r\n gth\r\n\r\nabc",
     400, SHUT),
    ("LF after the request line", b"GET PATH HTTP/1.1\n" + HOST + END, 400,
     SHUT),
    ("LF after a header", GET + b"A: b\nB: c\r\n\r\n", 400, SHUT),
    ("LF after the last header", GET + b"A: b\n\r\n", 400, SHUT),
    ("LF for the empty line", GET + b"A: b\r\n\n", 400, SHUT),
    ("LF everywhere", b"GET PATH HTTP/1.1\nHost: 169.254.169.254\n\n", 400,
     SHUT),
    ("LF before a coding", POST + b"A: b\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n" + NEXT, 400, SHUT),
    ("CR in a value", GET + b"A: b\rc\r\n\r\n", 400, SHUT),
    ("CR that hides a header", GET + b"A: b\rTransfer-Encoding: chunked"
     b"\r\n\r\n", 400, SHUT),
    ("CR before CR LF", GET + b"A: b\r\r\nB: c\r\n\r\n", 400, SHUT),
    ("CR in the target", b"GET PATH\r/x HTTP/1.1\r\n" + HOST + END, 400,
     SHUT),
    ("CR in a name", GET + b"A\rB: c\r\n\r\n", 400, SHUT),
    ("NUL in the method", b"GET\0 PATH HTTP/1.1\r\n" + HOST + END, 400, SHUT),
    ("NUL in the target", b"GET PATH\0/../secret HTTP/1.1\r\n" + HOST + END,
     400, SHUT),
    ("NUL in the query", b"GET PATH?a=b\0&c=d HTTP/1.1\r\n" + HOST + END, 400,
     SHUT),
    ("NUL after the version", b"GET PATH HTTP/1.1\0\r\n" + HOST + END, 400,
     SHUT),
    ("NUL in a value", GET + b"A: b\0c\r\nB: d\r\n\r\n", 400, SHUT),
    ("NUL in the last value", GET + b"A: b\0c\r\n\r\n", 400, SHUT),
    ("NUL at the end of a value", GET + b"A: b\0\r\n\r\n", 400, SHUT),
    ("NUL before a value", GET + b"A: \0b\r\n\r\n", 400, SHUT),
    ("NUL in Host", b"GET PATH HTTP/1.1\r\nHost: 169.254.169.254\0x\r\n\r\n",
     400, SHUT),
    ("NUL in a length", POST + b"Content-Length: 3\0\x30\r\n\r\nabc", 400,
     SHUT),
    ("NUL in a name", GET + b"A\0B: c\r\n\r\n", 400, SHUT),
    # ---- names
    ("no name", GET + b": b\r\n\r\n", 400, SHUT),
    ("no name, then others", GET + b": b\r\nA: b\r\n\r\n", 400, SHUT),
    ("neither name nor value", GET + b"A: b\r\n:\r\n\r\n", 400, SHUT),
    ("line without a name for the empty line", GET + b"A: b\n:x\n\r\n", 400,
     SHUT),
    ("no name, first of all", b"GET PATH HTTP/1.1\r\n: b\r\n" + HOST + END,
     400, SHUT),
    ("no colon", GET + b"A\r\n\r\n", 400, SHUT),
    ("blank before the colon", GET + b"A : b\r\n\r\n", 400, SHUT),
    ("tab before the colon", GET + b"A\t: b\r\n\r\n", 400, SHUT),
    ("blank in a name", GET + b"A B: c\r\n\r\n", 400, SHUT),
    *((f"{c!r} in a name", GET + b"A%cB: c\r\n\r\n" % c, 400, SHUT)
      for c in b'\x01\x1f\x7f\x80\xe9\xff"(),/;<=>?@[\\]{}'),
    *((f"{c:#04x} in a value", GET + b"A: b%cc\r\n\r\n" % c, 400, SHUT)
      for c in b"\x01\x08\x0b\x0c\x1f\x7f"),
    # ---- target, version, Host
    *((f"{c:#04x} in the target", b"GET PATH%c/x HTTP/1.1\r\n" % c + HOST +
       END, 400, SHUT)
      for c in b"\x01\x0b\x0c\x1f \x7f\x80\xe9\xff"),
    ("tab in the target", b"GET PATH\t/x HTTP/1.1\r\n" + HOST + END, 400,
     SHUT),
    ("two blanks before the target", b"GET  PATH HTTP/1.1\r\n" + HOST + END,
     400, SHUT),
    ("two blanks after the target", b"GET PATH  HTTP/1.1\r\n" + HOST + END,
     400, SHUT),
    ("blank after the version", b"GET PATH HTTP/1.1 \r\n" + HOST + END, 400,
     SHUT),
    ("blank before the method", b" GET PATH HTTP/1.1\r\n" + HOST + END,
     CLOSED, SHUT),
    ("tabs in the request line", b"GET\tPATH\tHTTP/1.1\r\n" + HOST + END,
     CLOSED, SHUT),
    ("control byte in the method", b"G\x01T PATH HTTP/1.1\r\n" + HOST + END,
     400, SHUT),
    ("method that is no token", b"GET, PATH HTTP/1.1\r\n" + HOST + END, 400,
     SHUT),
    ("no version", b"GET PATH\r\n" + HOST + END, 400, SHUT),
    ("HTTP/0.9", b"GET PATH HTTP/0.9\r\n" + HOST + END, 505, SHUT),
    ("HTTP/1.2", b"GET PATH HTTP/1.2\r\n" + HOST + END, 400, SHUT),
    ("HTTP/1.10", b"GET PATH HTTP/1.10\r\n" + HOST + END, 400, SHUT),
    ("HTTP/2.0", b"GET PATH HTTP/2.0\r\n" + HOST + END, 505, SHUT),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, SHUT),
    ("version in lower case", b"GET PATH http/1.1\r\n" + HOST + END, 400,
     SHUT),
    ("no Host", b"GET PATH HTTP/1.1\r\n\r\n", 400, SHUT),
    ("two Hosts", GET + HOST + END, 400, SHUT),
    ("two Hosts in HTTP/1.0", b"GET PATH HTTP/1.0\r\n" + HOST + HOST + END,
     400, SHUT),
    ("list of hosts", b"GET PATH HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, SHUT),
    ("Host with a path", b"GET PATH HTTP/1.1\r\nHost: a/b\r\n\r\n", 400,
     SHUT),
    ("Host with a user", b"GET PATH HTTP/1.1\r\nHost: a@b\r\n\r\n", 400,
     SHUT),
    ("8-bit Host", b"GET PATH HTTP/1.1\r\nHost: \xe9\r\n\r\n", 400, SHUT),
    # ---- what would be dropped because the client says so
    *((f"Connection: {option.decode()}", GET + b"X-Forwarded-For: 10.0.0.1"
       b"\r\nConnection: " + option + b"\r\n\r\n", 400, SHUT)
      for option in (b"X-Forwarded-For", b"x-forwarded-for",
                     b"close, X-Forwarded-For", b"X-Forwarded-For,close",
                     b"keep-alive ,\tx-forwarded-for\t, TE", b"Host",
                     b",x-forwarded-for", b"x-ms-azure-host-claims",
                     b"close, X-MS-Azure-Host-Authorization",
                     b"x-ms-azure-host-date")),
    ("Connection, twice, names a header", GET + b"Metadata: true\r\n"
     b"Connection: close\r\nConnection: metadata\r\n\r\n", 400, SHUT),
    ("Connection names the length", POST + b"Connection: Content-Length\r\n"
     b"Content-Length: 3\r\n\r\nabc", 400, SHUT),
    # ---- forms of the target: sound, but not for us
    ("no slash", b"GET rows/x HTTP/1.1\r\n" + HOST + END, 400, OPEN),
    ("asterisk", b"GET * HTTP/1.1\r\n" + HOST + END, 400, OPEN),
    ("fragment", b"GET PATH#x HTTP/1.1\r\n" + HOST + END, 400, OPEN),
    ("authority-form", b"GET 169.254.169.254:80 HTTP/1.1\r\n" + HOST + END,
     400, OPEN),
    ("CONNECT", b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n" + HOST + END, 405,
     OPEN),
    ("absolute-form, elsewhere", b"GET http://168.63.129.16PATH HTTP/1.1\r\n"
     + HOST + END, 421, OPEN),
    ("absolute-form, other port", b"GET http://169.254.169.254:81PATH "
     b"HTTP/1.1\r\n" + HOST + END, 421, OPEN),
    ("absolute-form, a name", b"GET http://example.orgPATH HTTP/1.1\r\n" +
     HOST + END, 421, OPEN),
    ("absolute-form, no host", b"GET http://PATH HTTP/1.1\r\n" + HOST + END,
     400, OPEN),
    ("absolute-form, https", b"GET https://169.254.169.254PATH HTTP/1.1\r\n" +
     HOST + END, 400, OPEN),
    ("TRACE", b"TRACE PATH HTTP/1.1\r\n" + HOST + END, 405, OPEN),
    ("method in lower case", b"get PATH HTTP/1.1\r\n" + HOST + END, 405,
     OPEN),
    ("dots", b"GET PATH/../x HTTP/1.1\r\n" + HOST + END, 403, OPEN),
]
Reached = collections.namedtuple("Reached", "method target body has lacks",
                                 defaults=(b"GET", b"PATH", b"", (), ()))
HOP = (b"Connection: keep-alive, TE, close-not, x-not-there\r\n"
       b"Keep-Alive: timeout=5\r\nProxy-Connection: close\r\n"
       b"Proxy-Authenticate: Basic\r\nProxy-Authorization: Basic eA==\r\n"
       b"TE: trailers\r\nTrailer: x-t\r\nUpgrade: websocket\r\n"
       b"HTTP2-Settings: AAMAAABk\r\n")
FORGED = (b"X-MS-Azure-Host-Authorization: Azure-HMAC-SHA256 x y\r\n"
          b"x-ms-azure-host-claims: { \"isRoot\": \"true\"}\r\n"
          b"X-Ms-Azure-Host-Claims: { \"isRoot\": \"maybe\"}\r\n"
          b"x-ms-azure-host-date: yesterday\r\n"
          b"X-MS-AZURE-HOST-DATE: tomorrow\r\n"
          b"x-ms-azure-host-authorization: again\r\n")
CLAIMS = (OURS[0], b'{ "isRoot": "true"}')
ABSOLUTE = b"http://169.254.169.254PATH"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"

# name, bytes, status, connection stays, what reached the host
PASSED = [
    ("plain", GET + END, 200, OPEN, Reached()),
    ("body by length", POST + b"Content-Length: 3\r\n\r\nabc", 200, OPEN,
     Reached(b"POST", body=b"abc", has=[(b"content-length", b"3")])),
    ("length with zeros before it", POST + b"Content-Length: 003\r\n\r\nabc",
     200, OPEN, Reached(b"POST", body=b"abc",
                        has=[(b"content-length", b"3")])),
    ("body by chunks", CHUNKED + CHUNKS, 200, OPEN,
     Reached(b"POST", body=b"abc", has=[(b"content-length", b"3")],
             lacks=[b"transfer-encoding"])),
    ("Chunked in capitals", POST + b"TRANSFER-ENCODING:CHUNKED\r\n\r\n" +
     CHUNKS, 200, OPEN,
     Reached(b"POST", body=b"abc", has=[(b"content-length", b"3")])),
    ("chunk size with zeros", CHUNKED + b"0003\r\nabc\r\n000\r\n\r\n", 200,
     OPEN, Reached(b"POST", body=b"abc")),
    ("chunk extensions", CHUNKED + b"3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n",
     200, OPEN, Reached(b"POST", body=b"abc")),
    ("trailers", CHUNKED + b"3\r\nabc\r\n0\r\nx-t: 1\r\nContent-Length: 9\r\n"
     b"Host: other\r\nx-ms-azure-host-claims: x\r\n\r\n", 200, OPEN,
     Reached(b"POST", body=b"abc", has=[CLAIMS], lacks=[b"x-t"])),
    # read as if it were CR LF: what goes out has only that
    ("LF between chunks", CHUNKED + b"3\nabc\n0\n\n", 200, OPEN,
     Reached(b"POST", body=b"abc")),
    ("NUL in a chunk extension", CHUNKED + b"3;a\0b\r\nabc\r\n0\r\n\r\n", 200,
     OPEN, Reached(b"POST", body=b"abc")),
    ("NUL LF for CR LF", GET + b"A: b\0\nB: c\r\n\r\n", 200, OPEN,
     Reached(has=[(b"a", b"b"), (b"b", b"c")])),
    ("line that begins with NUL before the request", b"\0GET /smuggled "
     b"HTTP/1.1\r\n" + GET + END, 200, OPEN, Reached()),
    ("colon LF for the empty line", GET + b":\n", 200, OPEN, Reached()),
    ("empty lines before the request", b"\r\n\r\n" + GET + END, 200, OPEN,
     Reached()),
    ("GET with a body", GET + b"Content-Length: 3\r\n\r\nabc", 200, OPEN,
     Reached(body=b"abc", has=[(b"content-length", b"3")])),
    ("POST without a body", POST + END, 200, OPEN,
     Reached(b"POST", has=[(b"content-length", b"0")])),
    ("name that is almost a coding", POST + b"Transfer_Encoding: chunked"
     b"\r\nContent-Length: 3\r\n\r\nabc", 200, OPEN,
     Reached(b"POST", body=b"abc",
             has=[(b"transfer_encoding", b"chunked")])),
    ("all characters of names", GET + b"!#$%&'*+-.^_`|~09azAZ: 1\r\n\r\n",
     200, OPEN, Reached(has=[(b"!#$%&'*+-.^_`|~09azaz", b"1")])),
    ("8-bit value", GET + b"A: caf\xe9 \xff\r\n\r\n", 200, OPEN,
     Reached(has=[(b"a", b"caf\xe9 \xff")])),
    ("tab in a value", GET + b"A: b\tc\r\n\r\n", 200, OPEN,
     Reached(has=[(b"a", b"b\tc")])),
    ("blanks around a value", GET + b"A: \t b c \t\r\n\r\n", 200, OPEN,
     Reached(has=[(b"a", b"b c")])),
    ("no blank before a value", GET + b"A:b\r\n\r\n", 200, OPEN,
     Reached(has=[(b"a", b"b")])),
    ("empty values", GET + b"A:\r\nB: \r\nC: \t \r\n\r\n", 200, OPEN,
     Reached(has=[(b"a", b""), (b"b", b""), (b"c", b"")])),
    ("query", b"GET PATH?b=2&a=1&a=1&c HTTP/1.1\r\n" + HOST + END, 200, OPEN,
     Reached(target=b"PATH?b=2&a=1&a=1&c")),
    ("absolute-form", b"GET " + ABSOLUTE + b" HTTP/1.1\r\nHost: example.org"
     b"\r\n\r\n", 200, OPEN,
     Reached(has=[(b"host", b"169.254.169.254")])),
    ("absolute-form with port", b"GET HTTP://169.254.169.254:80PATH?x HTTP/1.1"
     b"\r\nHost:\r\n\r\n", 200, OPEN,
     Reached(target=b"PATH?x", has=[(b"host", b"169.254.169.254:80")])),
    ("absolute-form in HTTP/1.0", b"GET " + ABSOLUTE + b" HTTP/1.0\r\n\r\n",
     200, SHUT, Reached(has=[(b"host", b"169.254.169.254")])),
    ("other Host", b"GET PATH HTTP/1.1\r\nHost: Example.ORG:8080\r\n\r\n",
     200, OPEN, Reached(has=[(b"host", b"Example.ORG:8080")])),
    ("Host is an address", b"GET PATH HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
     200, OPEN, Reached(has=[(b"host", b"[::1]:80")])),
    ("empty Host", b"GET PATH HTTP/1.1\r\nHost:\r\n\r\n", 200, OPEN,
     Reached(has=[(b"host", b"")])),
    ("Host is the last header", b"GET PATH HTTP/1.1\r\nA: b\r\n" + HOST + END,
     200, OPEN, Reached(has=[(b"host", b"169.254.169.254")])),
    ("HTTP/1.0", b"GET PATH HTTP/1.0\r\n\r\n", 200, SHUT,
     Reached(has=[(b"host", b"169.254.169.254")])),
    ("HTTP/1.0 with a body", b"POST PATH HTTP/1.0\r\nContent-Length: 3\r\n"
     b"\r\nabc", 200, SHUT, Reached(b"POST", body=b"abc")),
    ("HTTP/1.0 kept alive", b"GET PATH HTTP/1.0\r\nConnection: Keep-Alive"
     b"\r\n\r\n", 200, OPEN, Reached(lacks=[b"connection"])),
    ("Connection: close", GET + b"Connection: close\r\n\r\n", 200, SHUT,
     Reached(lacks=[b"connection"])),
    ("hop-by-hop headers", GET + b"X-Kept: 1\r\n" + HOP + END, 200, OPEN,
     Reached(has=[(b"x-kept", b"1")])),
    ("hop-by-hop headers that Connection names", GET + b"Connection: TE, "
     b"Trailer, Upgrade, HTTP2-Settings, keep-alive\r\nTE: gzip\r\n"
     b"HTTP2-Settings: AAMAAABk\r\n\r\n", 200, OPEN, Reached()),
    ("headers that sound like hop-by-hop", GET + b"Te-: 1\r\nUpgrade-Insecure"
     b"-Requests: 1\r\nKeep: 1\r\nX-Forwarded-For: 10.0.0.1\r\nExpect-: 1\r\n"
     b"Via: 1.1 x\r\nForwarded: for=1\r\nCookie: a\r\nAuthorization: b\r\n\r\n",
     200, OPEN, Reached(has=[
         (b"te-", b"1"), (b"upgrade-insecure-requests", b"1"), (b"keep", b"1"),
         (b"x-forwarded-for", b"10.0.0.1"), (b"expect-", b"1"),
         (b"via", b"1.1 x"), (b"forwarded", b"for=1"), (b"cookie", b"a"),
         (b"authorization", b"b")])),
    ("Upgrade: h2c", GET + b"Connection: Upgrade, HTTP2-Settings\r\n"
     b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", 200,
     OPEN, Reached()),
    ("Upgrade: h2c with a body", POST + b"Connection: Upgrade, HTTP2-Settings"
     b"\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 3\r\n"
     b"\r\nabc", 200, OPEN, Reached(b"POST", body=b"abc")),
    ("Upgrade: websocket", GET + b"Connection: upgrade\r\nUpgrade: websocket"
     b"\r\nSec-WebSocket-Key: x\r\n\r\n", 200, OPEN,
     Reached(has=[(b"sec-websocket-key", b"x")])),
    ("what the agent says, said by the client", GET + FORGED + END, 200, OPEN,
     Reached(has=[CLAIMS])),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + END, 200, OPEN,
     Reached(b"OPTIONS", b"*")),
    ("Expect of something else", GET + b"Expect: miracle\r\n\r\n", 200, OPEN,
     Reached(has=[(b"expect", b"miracle")])),
]


def rows_of(table, prefix):
    """Row, its path, its bytes."""
    for number, row in enumerate(table):
        path = b"/%s/%d" % (prefix, number)
        yield row, path, row[1].replace(b"PATH", path)


class Requests(Recorded):

    def run_table(self, table, prefix, address=(IMDS, 80), uid=0):
        rows = list(rows_of(table, prefix))
        talks = self.world.call(converse_all, address,
                                [(data, (b"GET",), row[3])
                                 for row, _, data in rows], uid=uid)
        return [(row, path, talk) for (row, path, _), talk
                in zip(rows, talks)]

    def check_outcome(self, row, talk):
        self.assertEqual((talk.statuses, talk.open), ([row[2]], row[3]))

    def test_each_malformed_request_is_refused_and_reaches_nobody(self):
        before = {r.target for _, r, _ in self.recorder.requests()}
        for row, _, talk in self.run_table(REFUSED, b"refused"):
            with self.subTest(row=row[0]):
                self.check_outcome(row, talk)
        after = {r.target for _, r, _ in self.recorder.requests()}
        self.assertEqual(after - before - {b"/probe"}, set())
        self.assertFalse(self.recorder.unfinished())

    def test_each_sound_request_arrives_as_one_with_one_reading(self):
        for row, path, talk in self.run_table(PASSED, b"passed"):
            with self.subTest(row=row[0]):
                self.check_outcome(row, talk)
                self.assertEqual(talk.answers[0].version, b"HTTP/1.1")
                self.check_reached(row[4], path)
        self.check_all_that_came()

    def check_reached(self, wanted, path):
        found = self.came(wanted.target.replace(b"PATH", path))
        self.assertEqual(len(found), 1)
        seen = found[0]
        self.assertEqual((seen.method, seen.target, seen.body),
                         (wanted.method, wanted.target.replace(b"PATH", path),
                          wanted.body))
        for name, value in wanted.has:
            self.assertEqual(wire.values(seen.headers, name), [value])
        for name in wanted.lacks:
            self.assertFalse(wire.values(seen.headers, name), name)
