/** What a program that cannot be changed is started with: `node --import ./overlay.ts program.js`. */

import { boot, cable, ethernet, ip, ipv4, sockets, stack, tcp, udp } from '../../src/index.ts'
import { register } from '../../src/register.ts'

const [end] = cable()
register(await boot(stack(end, ethernet(), ip(ipv4({ address: '10.0.0.1/24' })), sockets(tcp(), udp()))))
