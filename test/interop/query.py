#!/usr/bin/python3
"""Asks who is in which groups, as a router does: query.py DEVICE igmp2|igmp3|mld2, from the device's own addresses."""
import sys

from scapy.all import IP, Ether, ICMPv6MLQuery2, IPOption_Router_Alert, IPv6, IPv6ExtHdrHopByHop, PadN, RouterAlert, conf
from scapy.all import get_if_addr, in6_getifaddr, sendp
from scapy.contrib.igmp import IGMP
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3mq

DEVICE, KIND = sys.argv[1:3]
conf.verb = 0
alert = [IPOption_Router_Alert()]
if KIND == 'igmp2':
    query = IP(src=get_if_addr(DEVICE), dst='224.0.0.1', ttl=1, options=alert) / IGMP(type=0x11, mrcode=5)
elif KIND == 'igmp3':
    query = IP(src=get_if_addr(DEVICE), dst='224.0.0.1', ttl=1, options=alert) / IGMPv3(type=0x11, mrcode=5) / IGMPv3mq(gaddr='0.0.0.0')
else:
    ours = [address for address, scope, device in in6_getifaddr() if device == DEVICE and address.startswith('fe80')][0]
    options = IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b'')])
    query = IPv6(src=ours, dst='ff02::1', hlim=1) / options / ICMPv6MLQuery2(mladdr='::', mrd=500)
group = '33:33:00:00:00:01' if KIND == 'mld2' else '01:00:5e:00:00:01'
sendp(Ether(dst=group) / query, iface=DEVICE)
