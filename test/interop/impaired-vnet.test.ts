/** Transfers through an impaired link over TAP with offload on the kernel's side. */
import { runCells } from './impaired.ts'

runCells('tap+vnet')
