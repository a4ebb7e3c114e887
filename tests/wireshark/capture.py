# SPDX-License-Identifier: Apache-2.0
"""Captures made of messages: pcap with raw IPv4 frames. A message travels over UDP or
TCP 2269, in an HTTP request (octets or base64), or in an SDP offer inside a SIP INVITE."""
import base64
import struct

KMS_PORT, HTTP_PORT, SIP_PORT = 2269, 8080, 5060
LINK_RAW, SEGMENT = 228, 1400
SYN, ACK, PSH = 0x02, 0x10, 0x08


def ipv4(protocol, payload):
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
                       0x7F000001, 0x7F000001)
    return head + payload


def udp(source, target, payload):
    return ipv4(17, struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload)


def tcp(source, target, seq, ack, flags, payload=b""):
    return ipv4(6, struct.pack(">HHIIBBHHH", source, target, seq, ack, 5 << 4, flags, 65535, 0, 0)
                + payload)


def over_udp(message, port):
    return [udp(port, KMS_PORT, message)]


def over_tcp(message, port):
    return [tcp(port, KMS_PORT, 0, 0, SYN), tcp(KMS_PORT, port, 0, 1, SYN | ACK),
            tcp(port, KMS_PORT, 1, 1, ACK), tcp(port, KMS_PORT, 1, 1, PSH | ACK, message)]


def over_http(message, port, as_base64):
    """One POST in segments, as they come when a message is longer than one of them."""
    body = base64.b64encode(message) if as_base64 else message
    text = ("POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: kms.example.com\r\n"
            f"Content-Type: application/mikey\r\nContent-Length: {len(body)}\r\n\r\n")
    data = text.encode() + body
    frames = [tcp(port, HTTP_PORT, 0, 0, SYN), tcp(HTTP_PORT, port, 0, 1, SYN | ACK),
              tcp(port, HTTP_PORT, 1, 1, ACK)]
    for at in range(0, len(data), SEGMENT):
        frames.append(tcp(port, HTTP_PORT, 1 + at, 1, PSH | ACK, data[at:at + SEGMENT]))
    return frames


def over_sip(message, port):
    sdp = ("v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
           f"a=key-mgmt:mikey {base64.b64encode(message).decode()}\r\n"
           "m=audio 49170 RTP/SAVP 0\r\n")
    sip = ("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
           "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
           f"Call-ID: {port}\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
           f"Content-Length: {len(sdp)}\r\n\r\n{sdp}")
    return [udp(SIP_PORT, SIP_PORT, sip.encode())]


def write(path, frames):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, LINK_RAW))
        for number, frame in enumerate(frames):
            out.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)
