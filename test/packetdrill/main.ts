/** `npm run packetdrill -- DIR|FILE… [options]`. */
import { packetdrill } from './command.ts'

process.exitCode = await packetdrill(process.argv.slice(2), console.log, console.error)
