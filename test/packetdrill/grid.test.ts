/**
 * Each state against each segment that may be a guess or a leftover, at each place in or beside the window (RFC 9293 §3.10.7.4,
 * RFC 5961 §3 and §4, RFC 1337): one script a case, written here.
 */
import t, { type Test } from 'tap'
import { runScript } from './run/runner.ts'

const SYN_OPTIONS = '<mss 1460,sackOK,eol,eol>'
const ESTABLISHED = `
  0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
 +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
 +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
 +0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>
+.1 < S. 0:0(0) ack 1 win 32767 ${SYN_OPTIONS}
 +0 > . 1:1(0) ack 1
`
const WE_END = '+.1 shutdown(3, SHUT_WR) = 0\n +0 > F. 1:1(0) ack 1\n'
const PEER_ENDS = '+.1 < F. 1:1(0) ack 1 win 32767\n +0 > . 1:1(0) ack 2\n'
const PEER_ENDS_TOO = ' +0 < F. 1:1(0) ack 2 win 32767\n +0 > . 2:2(0) ack 2\n +0 close(3) = 0\n'
const LAST_ACK = ' +0 < . 2:2(0) ack 2 win 32767\n +0 close(3) = 0\n'

/** The segments that lead there, RCV.NXT and SND.NXT then, and how it goes on if nothing has happened. */
interface Case {
  readonly prefix: string
  readonly rcvNxt: number
  readonly sndNxt: number
  readonly goesOn: string
}

const STATES: Readonly<Record<string, Case>> = {
  ESTABLISHED: {
    prefix: ESTABLISHED,
    rcvNxt: 1,
    sndNxt: 1,
    goesOn: ' +0 close(3) = 0\n +0 > F. 1:1(0) ack 1\n +0 < F. 1:1(0) ack 2 win 32767\n +0 > . 2:2(0) ack 2\n',
  },
  'CLOSE-WAIT': {
    prefix: ESTABLISHED + PEER_ENDS,
    rcvNxt: 2,
    sndNxt: 1,
    goesOn: ' +0 close(3) = 0\n +0 > F. 1:1(0) ack 2\n +0 < . 2:2(0) ack 2 win 32767\n',
  },
  'FIN-WAIT-1': { prefix: ESTABLISHED + WE_END, rcvNxt: 1, sndNxt: 2, goesOn: PEER_ENDS_TOO },
  'FIN-WAIT-2': {
    prefix: `${ESTABLISHED}${WE_END}+.1 < . 1:1(0) ack 2 win 32767\n`,
    rcvNxt: 1,
    sndNxt: 2,
    goesOn: PEER_ENDS_TOO,
  },
  CLOSING: {
    prefix: `${ESTABLISHED}${WE_END}+.1 < F. 1:1(0) ack 1 win 32767\n +0 > . 2:2(0) ack 2\n`,
    rcvNxt: 2,
    sndNxt: 2,
    goesOn: LAST_ACK,
  },
  'LAST-ACK': {
    prefix: `${ESTABLISHED}${PEER_ENDS} +0 shutdown(3, SHUT_WR) = 0\n +0 > F. 1:1(0) ack 2\n`,
    rcvNxt: 2,
    sndNxt: 2,
    goesOn: LAST_ACK,
  },
}
const TIME_WAIT = `${ESTABLISHED}${WE_END}+.1 < F. 1:1(0) ack 2 win 32767\n +0 > . 2:2(0) ack 2\n`

/** Sequence numbers by where they are; the window is the 65,700 octets behind the SYN-ACK, and a FIN takes none of it. */
const places = (rcvNxt: number): readonly (readonly [string, number])[] => [
  ['before the window', rcvNxt - 1],
  ['at its left edge', rcvNxt],
  ['in it', rcvNxt + 1],
  ['at its right edge', rcvNxt + 65_699],
  ['behind it', rcvNxt + 65_700],
]

async function passes(t: Test, name: string, script: string): Promise<void> {
  const { why, trace } = await runScript(script)
  t.equal(why, '', name, { trace })
}

for (const [state, { prefix, rcvNxt, sndNxt, goesOn }] of Object.entries(STATES)) {
  const acknowledged = ` +0 > . ${sndNxt}:${sndNxt}(0) ack ${rcvNxt}\n`
  const alive = ' +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0\n'
  const reset = ' +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0\n +0 close(3) = 0\n'

  t.test(`${state}: only the exact reset ends it, one in the window is asked back (RFC 5961 §3.2)`, async (t) => {
    for (const flags of ['R', 'R.']) {
      for (const [place, seq] of places(rcvNxt)) {
        const arrives = `+.1 < ${flags} ${seq}:${seq}(0)${flags === 'R' ? '' : ' ack 1'} win 32767\n`
        const inside = seq > rcvNxt && seq < rcvNxt + 65_700
        const then = seq === rcvNxt ? reset : `${inside ? acknowledged : ''}${alive}${goesOn}`
        await passes(t, `${flags} ${place}`, prefix + arrives + then)
      }
    }
  })

  t.test(`${state}: a SYN is asked back, wherever it is (RFC 5961 §4.2)`, async (t) => {
    for (const flags of ['S', 'S.', 'SF']) {
      for (const [place, seq] of places(rcvNxt)) {
        const ack = flags === 'S.' ? ' ack 1' : ''
        const arrives = `+.1 < ${flags} ${seq}:${seq}(0)${ack} win 32767 ${SYN_OPTIONS}\n`
        await passes(t, `${flags} ${place}`, prefix + arrives + acknowledged + alive + goesOn)
      }
    }
  })
}

t.test('TIME-WAIT: resets mean nothing (RFC 1337), all but the expected ACK is acknowledged', async (t) => {
  for (const flags of ['R', 'R.', '.', 'F.', 'S']) {
    for (const [place, seq] of places(2)) {
      const ack = flags.endsWith('.') ? ' ack 2' : ''
      const options = flags === 'S' ? ` ${SYN_OPTIONS}` : ''
      const arrives = `+.1 < ${flags} ${seq}:${seq}(0)${ack} win 32767${options}\n`
      const silent = flags.startsWith('R') || (flags === '.' && seq === 2)
      const answer = silent ? '+.1 < . 1:1(0) ack 2 win 32767\n +0 > . 2:2(0) ack 2\n' : ' +0 > . 2:2(0) ack 2\n'
      await passes(t, `${flags} ${place}`, TIME_WAIT + arrives + answer)
    }
  }
})
