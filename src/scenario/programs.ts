import type { Run } from './run.ts'
const NAMES = ['ncat', 'insmod', 'rmmod', 'bash', 'sleep', 'syscalls']
export const programNames = (): readonly string[] => NAMES
export class Programs {
  constructor(_run: Run) {}
  start(_p: unknown): void {}
  systemCall(_p: unknown): void {}
  type(_process: string, _data: Uint8Array): void {}
  closeStdin(_process: string): void {}
  kill(_process: string, _signal: number): void {}
}
