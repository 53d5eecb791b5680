#!/usr/bin/python3
"""A host behind EtherIP, as scapy writes and reads it: answers ARP and echo requests until it is ended.

etherip.py DEVICE OURS THEIRS ADDRESS MAC    outer addresses of this end and the other, and those of the host inside
"""
import sys

from scapy.all import ARP, ICMP, IP, Ether, conf, send, sniff
from scapy.contrib.etherip import EtherIP

DEVICE, OURS, THEIRS, ADDRESS, MAC = sys.argv[1:6]
conf.verb = 0


def answer(frame):
    if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == ADDRESS:
        asked = frame[ARP]
        return ARP(op=2, hwsrc=MAC, psrc=ADDRESS, hwdst=asked.hwsrc, pdst=asked.psrc)
    if ICMP in frame and frame[ICMP].type == 8 and frame[IP].dst == ADDRESS:
        asked = frame[ICMP]
        return IP(src=ADDRESS, dst=frame[IP].src) / ICMP(type=0, id=asked.id, seq=asked.seq) / bytes(asked.payload)
    return None


def arrived(packet):
    # The kernel's own view may put padding of the wire behind it, which the inner lengths leave out.
    frame = packet[EtherIP][Ether]
    reply = answer(frame)
    if reply is not None:
        send(IP(src=OURS, dst=THEIRS, proto=97) / EtherIP() / Ether(src=MAC, dst=frame.src) / reply)


def listening():
    print('listening', flush=True)


sniff(iface=DEVICE, filter=f'ip proto 97 and src host {THEIRS}', prn=arrived, store=False, started_callback=listening)
