import { testParity } from './parity-suite.ts'

for (const command of ['ptov', 'btop', 'ptob']) testParity(command)
