/** Transfers through an impaired link over VXLAN. */
import { runCells } from './impaired.ts'

runCells('vxlan')
