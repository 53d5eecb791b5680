/** Names of Linux's headers with their numbers, as far as calls compute with them; options of sockets stay names. */
import { constants } from 'node:os'

export const O_RDWR = 0x2
export const O_NONBLOCK = 0x800

export const POLL = { IN: 0x1, OUT: 0x4, ERR: 0x8, HUP: 0x10, RDHUP: 0x2000 } as const

/** PRIVATE: those that say how, not what. */
export const EPOLL = { ET: -0x80000000, ONESHOT: 0x40000000, EXCLUSIVE: 0x10000000, PRIVATE: -0x10000000 } as const

/** Bits of SO_TIMESTAMPING. */
export const TIMESTAMPING = { SENT: 0x2, NUMBERED: 0x80, SCHEDULED: 0x100, ACK: 0x200, TIME_ONLY: 0x800 } as const

export const MSG = {
  PEEK: 0x2,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  WAITALL: 0x100,
  ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
  ZEROCOPY: 0x4000000,
  FASTOPEN: 0x20000000,
} as const

const NUMBERS: Readonly<Record<string, number>> = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR,
  O_NONBLOCK,
  SOCK_STREAM: 1,
  SOCK_NONBLOCK: O_NONBLOCK,
  SOCK_CLOEXEC: 0x80000,
  SHUT_RD: 0,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  POLLIN: POLL.IN,
  POLLRDNORM: 0x40,
  POLLOUT: POLL.OUT,
  POLLWRNORM: 0x100,
  POLLERR: POLL.ERR,
  POLLHUP: POLL.HUP,
  POLLRDHUP: POLL.RDHUP,
  EPOLLIN: POLL.IN,
  EPOLLOUT: POLL.OUT,
  EPOLLERR: POLL.ERR,
  EPOLLHUP: POLL.HUP,
  EPOLLRDHUP: POLL.RDHUP,
  EPOLLET: EPOLL.ET,
  EPOLLONESHOT: EPOLL.ONESHOT,
  EPOLLEXCLUSIVE: EPOLL.EXCLUSIVE,
  SOF_TIMESTAMPING_TX_SOFTWARE: TIMESTAMPING.SENT,
  SOF_TIMESTAMPING_SOFTWARE: 0x10,
  SOF_TIMESTAMPING_OPT_ID: TIMESTAMPING.NUMBERED,
  SOF_TIMESTAMPING_TX_SCHED: TIMESTAMPING.SCHEDULED,
  SOF_TIMESTAMPING_TX_ACK: TIMESTAMPING.ACK,
  SOF_TIMESTAMPING_OPT_TSONLY: TIMESTAMPING.TIME_ONLY,
  SCM_TSTAMP_SND: 0,
  SCM_TSTAMP_SCHED: 1,
  SCM_TSTAMP_ACK: 2,
  SO_EE_ORIGIN_TIMESTAMPING: 4,
  SO_EE_ORIGIN_ZEROCOPY: 5,
  SO_EE_CODE_ZEROCOPY_COPIED: 1,
  MSG_PEEK: MSG.PEEK,
  MSG_TRUNC: MSG.TRUNC,
  MSG_ERRQUEUE: MSG.ERRQUEUE,
  MSG_DONTWAIT: MSG.DONTWAIT,
  MSG_EOR: MSG.EOR,
  MSG_WAITALL: MSG.WAITALL,
  MSG_NOSIGNAL: MSG.NOSIGNAL,
  MSG_MORE: MSG.MORE,
  MSG_FASTOPEN: MSG.FASTOPEN,
  MSG_ZEROCOPY: MSG.ZEROCOPY,
  IP_PMTUDISC_DONT: 0,
  IP_PMTUDISC_WANT: 1,
  IP_PMTUDISC_DO: 2,
  IPV6_PMTUDISC_DONT: 0,
  IPV6_PMTUDISC_WANT: 1,
  IPV6_PMTUDISC_DO: 2,
}

const ERRNO: ReadonlyMap<string, number> = new Map(Object.entries(constants.errno))

/** The number of a name, errors included; undefined when it is not known here. */
export const constantOf = (name: string): number | undefined => NUMBERS[name] ?? ERRNO.get(name)

/** The number of an error, 0 for none. */
export const errnoOf = (name: string | undefined): number => (name === undefined ? 0 : (ERRNO.get(name) ?? -1))
