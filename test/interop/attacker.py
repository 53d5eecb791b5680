#!/usr/bin/python3
"""Forges packets with scapy, as it is told by lines of JSON, one command and one answer a line (see attacker.ts).

{"learn": PORT}     says that it listens, is told with a line when that is enough, and answers with the fields of the last
                    segment from our host's PORT, of which there is to be one
{"tcp": {...}}      sends one segment, "times" times, and answers with what came back to its port: "expected" segments at
                    least, and what comes within "wait" seconds
{"icmp": {...}}     sends one ICMP error that quotes a segment of our host, "times" times
"""
import json
import sys
import time
from select import select

from scapy.all import ICMP, IP, TCP, Ether, conf, get_if_hwaddr, getmacbyip

DEVICE, THEIRS, OURS = sys.argv[1:4]
# However busy the machine is.
PATIENCE = 60
conf.verb = 0
conf.iface = DEVICE
socket = conf.L2socket(iface=DEVICE)
ethernet = Ether(src=get_if_hwaddr(DEVICE), dst=getmacbyip(OURS))


class Ear:
    """Hears from when it is made: what comes waits in the queue of its socket."""

    def __init__(self, port, to=''):
        self.socket = conf.L2listen(iface=DEVICE, filter=f'tcp and src host {OURS} and src port {port}{to}')
        self.heard = []

    def hear(self, seconds):
        """Takes what is there, and if there is nothing, waits."""
        while select([self.socket], [], [], seconds)[0]:
            packet = self.socket.recv()
            if packet is not None and TCP in packet:
                self.heard.append(described(packet))
            seconds = 0

    def wait(self, count):
        end = time.monotonic() + PATIENCE
        while len(self.heard) < count and time.monotonic() < end:
            self.hear(1)

    def close(self):
        self.hear(0)
        self.socket.close()
        return self.heard


def described(packet):
    tcp = packet[TCP]
    options = dict(option for option in tcp.options if option[0] == 'Timestamp')
    return {
        'flags': str(tcp.flags),
        'seq': tcp.seq,
        'ack': tcp.ack,
        'length': packet[IP].len - packet[IP].ihl * 4 - tcp.dataofs * 4,
        'port': tcp.dport,
        'timestamps': options.get('Timestamp'),
    }


def learn(port):
    ear = Ear(port)
    print('listening', flush=True)
    sys.stdin.readline()
    ear.wait(1)
    return (ear.close() or [None])[-1]


def tcp(sport, dport, flags, seq, ack=0, window=1000, timestamps=None, payload='', times=1, expected=0, wait=0.25):
    options = [('NOP', None), ('NOP', None), ('Timestamp', tuple(timestamps))] if timestamps else []
    segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq % 2**32, ack=ack % 2**32, window=window, options=options)
    ear = Ear(dport, f' and dst port {sport}')
    octets = bytes(ethernet / IP(src=THEIRS, dst=OURS) / segment / payload.encode())
    for _ in range(times):
        socket.outs.send(octets)
    ear.wait(expected)
    time.sleep(wait)
    return ear.close()


def icmp(type, code, sport, dport, seq, mtu=0, times=1):
    quote = IP(src=OURS, dst=THEIRS, flags='DF', ttl=63, len=1500, proto=6) / TCP(sport=sport, dport=dport, seq=seq % 2**32)
    error = ICMP(type=type, code=code, nexthopmtu=mtu) if type == 3 else ICMP(type=type, code=code)
    octets = bytes(ethernet / IP(src=THEIRS, dst=OURS) / error / quote)
    for _ in range(times):
        socket.outs.send(octets)
    return times


print('ready', flush=True)
for line in iter(sys.stdin.readline, ''):
    [(name, arguments)] = json.loads(line).items()
    if name == 'learn':
        answer = learn(arguments)
    else:
        answer = {'tcp': tcp, 'icmp': icmp}[name](**arguments)
    print(json.dumps(answer), flush=True)
