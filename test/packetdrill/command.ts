/** The command that runs scripts against the stack, each on a node of its own. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { IP_VERSIONS, type IpVersion, isIpVersion } from './language/ip-version.ts'
import { runScript } from './run/runner.ts'
import { findScripts, otherwiseOf } from './suite.ts'

const USAGE = 'usage: npm run packetdrill -- DIR|FILE… [options]'

const HELP = `${USAGE}

Runs scripts of packetdrill, of folders all that end in .pkt, each on a node of its own and on virtual time.

--ip-version=${IP_VERSIONS.join('|')}
                 for scripts that do not say it by a line --ip_version=… or a name that ends in v4.pkt or v6.pkt.
                 Default ipv4. With ipv6 the MTU is 1520 then, so that segments are as long as over IPv4.
--mtu=N          for scripts that do not say it by a line --mtu=…: some that are made for IPv6 are meant for 1520, too.
--ignore-psh     do not compare PSH, whose place RFC 9293 leaves open.
--json           a JSON object per script: {"script", "ok", "why"}.
--help           this.

Exit codes: 0 all pass, 1 some do not, 2 usage.`

type Print = (text: string) => void

/** @param args of the command line. @returns the exit code. */
export async function packetdrill(args: string[], out: Print, err: Print): Promise<number> {
  try {
    return await run(args, out, err)
  } catch (error) {
    err(`${error instanceof Error ? error.message : error}\n${USAGE}\nMore by --help.`)
    return 2
  }
}

async function run(args: string[], out: Print, err: Print): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: {
      json: { type: 'boolean' },
      'ignore-psh': { type: 'boolean' },
      'ip-version': { type: 'string', default: 'ipv4' },
      mtu: { type: 'string' },
      help: { type: 'boolean' },
    },
    allowPositionals: true,
  })
  if (values.help) {
    out(HELP)
    return 0
  }
  const ipVersion = ipVersionOf(values['ip-version'])
  const mtu = mtuOf(values.mtu)
  if (positionals.length === 0) throw new Error('no folder or file named')
  const scripts = positionals.flatMap(findScripts)
  if (scripts.length === 0) throw new Error(`no .pkt files in ${positionals.join(', ')}`)
  let passed = 0
  for (const script of scripts) {
    const options = { ignorePsh: values['ignore-psh'], otherwise: otherwiseOf(script, ipVersion), mtu }
    const { ok, why, trace } = await runScript(readFileSync(script, 'utf8'), options)
    if (ok) passed++
    if (values.json) out(JSON.stringify({ script, ok, why }))
    else out(ok ? `ok      ${script}` : `not ok  ${script}\n        ${why}${indented(trace)}`)
  }
  const total = `${passed} of ${scripts.length} scripts pass${values['ignore-psh'] ? ', PSH ignored' : ''}`
  if (values.json) err(total)
  else out(total)
  return passed === scripts.length ? 0 : 1
}

function ipVersionOf(text: string): IpVersion {
  if (isIpVersion(text)) return text
  throw new Error(`--ip-version is ${IP_VERSIONS.join(', ')}, not '${text}'`)
}

const indented = (trace: string): string => (trace === '' ? '' : `\n${trace.replace(/^/gm, '          ')}`)

function mtuOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const mtu = Number(text)
  if (Number.isInteger(mtu) && mtu >= 68 && mtu <= 65_535) return mtu
  throw new Error(`--mtu is from 68 to 65535, not '${text}'`)
}
