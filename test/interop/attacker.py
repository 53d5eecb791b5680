#!/usr/bin/python3
"""Forges packets with scapy, as it is told by lines of JSON, one command and one answer a line (see attacker.ts).

{"learn": PORT}     listens for a while and answers with the fields of the last segment from our host's PORT
{"tcp": {...}}      sends one segment, "times" times, and answers with what came back to its port within "wait" seconds
{"icmp": {...}}     sends one ICMP error that quotes a segment of our host, "times" times
"""
import json
import sys
import time
from threading import Event

from scapy.all import ICMP, IP, TCP, AsyncSniffer, Ether, conf, get_if_hwaddr, getmacbyip, sniff

DEVICE, THEIRS, OURS = sys.argv[1:4]
conf.verb = 0
conf.iface = DEVICE
socket = conf.L2socket(iface=DEVICE)
ethernet = Ether(src=get_if_hwaddr(DEVICE), dst=getmacbyip(OURS))


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
    seen = sniff(iface=DEVICE, filter=f'tcp and src host {OURS} and src port {port}', timeout=0.5)
    return described(seen[-1]) if seen else None


def tcp(sport, dport, flags, seq, ack=0, window=1000, timestamps=None, payload='', times=1, wait=0.25):
    options = [('NOP', None), ('NOP', None), ('Timestamp', tuple(timestamps))] if timestamps else []
    segment = TCP(sport=sport, dport=dport, flags=flags, seq=seq % 2**32, ack=ack % 2**32, window=window, options=options)
    listening = Event()
    answered = f'tcp and src host {OURS} and src port {dport} and dst port {sport}'
    answers = AsyncSniffer(iface=DEVICE, filter=answered, started_callback=listening.set)
    answers.start()
    listening.wait()
    octets = bytes(ethernet / IP(src=THEIRS, dst=OURS) / segment / payload.encode())
    for _ in range(times):
        socket.outs.send(octets)
    time.sleep(wait)
    return [described(answer) for answer in answers.stop()]


def icmp(type, code, sport, dport, seq, mtu=0, times=1):
    quote = IP(src=OURS, dst=THEIRS, flags='DF', ttl=63, len=1500, proto=6) / TCP(sport=sport, dport=dport, seq=seq % 2**32)
    error = ICMP(type=type, code=code, nexthopmtu=mtu) if type == 3 else ICMP(type=type, code=code)
    octets = bytes(ethernet / IP(src=THEIRS, dst=OURS) / error / quote)
    for _ in range(times):
        socket.outs.send(octets)
    return times


print('ready', flush=True)
for line in sys.stdin:
    [(name, arguments)] = json.loads(line).items()
    if name == 'learn':
        answer = learn(arguments)
    else:
        answer = {'tcp': tcp, 'icmp': icmp}[name](**arguments)
    print(json.dumps(answer), flush=True)
