#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a key document, as the host hands it out, and a request. Out: the header
that proves who sent the request. Never: prints the key.

    sign.py KEY-FILE METHOD TARGET [NAME:VALUE]... [< BODY]

libmsp is a C library; this is how another language calls it.
"""
import ctypes
import sys

LENGTH = 119  # MSP_AUTHORIZATION_LEN


class Header(ctypes.Structure):
    """struct msp_header"""
    _fields_ = [("name", ctypes.c_char_p), ("name_len", ctypes.c_size_t),
                ("value", ctypes.c_char_p), ("value_len", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct msp_message"""
    _fields_ = [("size", ctypes.c_size_t),
                ("method", ctypes.c_char_p), ("method_len", ctypes.c_size_t),
                ("target", ctypes.c_char_p), ("target_len", ctypes.c_size_t),
                ("headers", ctypes.POINTER(Header)),
                ("n_headers", ctypes.c_size_t),
                ("body", ctypes.c_char_p), ("body_len", ctypes.c_size_t)]


msp = ctypes.CDLL("libmsp.so.0")
msp.msp_error_text.restype = ctypes.c_char_p
for call in (msp.msp_signer_free, msp.msp_key_free):
    call.argtypes, call.restype = [ctypes.c_void_p], None


def must(status):
    if status < 0:
        sys.exit(msp.msp_error_text(status).decode())


def sign(document, method, target, lines, body):
    key, signer = ctypes.c_void_p(), ctypes.c_void_p()
    out = ctypes.create_string_buffer(LENGTH + 1)
    pairs = [line.encode().split(b":", 1) for line in lines]
    headers = (Header * len(pairs))(*[(name, len(name), value, len(value))
                                      for name, value in pairs])
    message = Message(ctypes.sizeof(Message), method, len(method), target,
                      len(target), headers, len(pairs), body, len(body))
    must(msp.msp_key_parse(ctypes.byref(key), document,
                           ctypes.c_size_t(len(document)), None))
    try:
        must(msp.msp_signer_new(ctypes.byref(signer), key))
        must(msp.msp_signer_sign(signer, out, ctypes.c_size_t(len(out)),
                                 ctypes.byref(message)))
    finally:
        msp.msp_signer_free(signer)
        msp.msp_key_free(key)
    return out.value.decode()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__.strip())
    with open(sys.argv[1], "rb") as file:
        KEY = file.read()
    BODY = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    print("x-ms-azure-host-authorization:",
          sign(KEY, sys.argv[2].encode(), sys.argv[3].encode(), sys.argv[4:],
               BODY))
