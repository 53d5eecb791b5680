/** The command: what it prints, and its exit codes. */
import { join } from 'node:path'
import t from 'tap'
import { packetdrill } from './command.ts'

const FOLDER = join(import.meta.dirname, 'scripts')
const SCRIPT = join(FOLDER, 'backlog.pkt')
const OVER_IPV4 = join(FOLDER, 'path-mtu.pkt')

async function command(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = []
  const err: string[] = []
  const code = await packetdrill(
    args,
    (text) => out.push(text),
    (text) => err.push(text),
  )
  return { code, out: out.join('\n'), err: err.join('\n') }
}

t.test('verdicts as text and as JSON', async (t) => {
  const { out, ...rest } = await command('--ip-version=ipv6', '--json', SCRIPT)
  t.strictSame(JSON.parse(out), { script: SCRIPT, ok: true, why: '' })
  t.strictSame(rest, { code: 0, err: '1 of 1 scripts pass' })
  t.strictSame(await command(SCRIPT), { code: 0, out: `ok      ${SCRIPT}\n1 of 1 scripts pass`, err: '' })
  t.match(await command('--ip-version=ipv6', '--ignore-psh', OVER_IPV4), {
    code: 1,
    out: /^not ok {2}.*\n {8}line \d+: unsupported: ICMP unreachable frag(.*\n)*0 of 1 scripts pass, PSH ignored$/,
  })
})

t.test('help, and misuse', async (t) => {
  t.match(await command('--help'), { code: 0, out: /--ip-version=ipv4\|ipv4-mapped-ipv6\|ipv6/, err: '' })
  for (const [args, message] of [
    [['--ip-version=ipv5', SCRIPT], "--ip-version is ipv4, ipv4-mapped-ipv6, ipv6, not 'ipv5'"],
    [['--mtu=67', SCRIPT], "--mtu is from 68 to 65535, not '67'"],
    [[], 'no folder or file named'],
    [[join(FOLDER, '..', 'wire')], `no .pkt files in ${join(FOLDER, '..', 'wire')}`],
  ] as const) {
    const err = `${message}\nusage: npm run packetdrill -- DIR|FILE… [options]\nMore by --help.`
    t.strictSame(await command(...args), { code: 2, out: '', err }, message)
  }
})
