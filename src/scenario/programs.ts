import type { Run } from './run.ts'
const NAMES = ['ncat', 'insmod', 'rmmod', 'bash', 'sleep', 'syscalls']
export const programNames = (): readonly string[] => NAMES
export class Programs {
  readonly run: Run
  constructor(run: Run) {
    this.run = run
  }
  prepare(): void {}
  loadAtBoot(_name: string, _params: object): void {}
  start(_p: unknown): void {}
  systemCall(_p: unknown): void {}
  type(_process: string, _data: Uint8Array): void {}
  closeStdin(_process: string): void {}
  kill(_process: string, _signal: number): void {}
  pidOf(_name: string): number {
    return 0
  }
  output(_name: string): string {
    return ''
  }
  exitOf(_name: string): { status: number; signal: number } | undefined {
    return undefined
  }
  rows(): object[] {
    return []
  }
}
