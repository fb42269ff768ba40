import { describe, expect, it } from 'vitest'
import { runSteps } from '../../support/scenario.ts'

/** Type lines at the shell. @returns what the terminal shows of the last */
function shows(...lines: string[]): string {
  const steps = lines.map((text) => `  - shell: { process: shell, line: ${JSON.stringify(text)} }\n`)
  return runSteps(steps.join('')).rows.at(-1)?.output ?? ''
}

describe('/proc', () => {
  it('version is the banner in memory', () => {
    expect(shows('cat /proc/version')).toMatch(/^Linux version 6\.1\.0-56-amd64 \(debian-kernel@.*\n$/)
  })

  it('cmdline is what the kernel was started with', () => {
    expect(shows('cat /proc/cmdline')).toMatch(/^BOOT_IMAGE=\/boot\/vmlinuz .* nokaslr\n$/)
  })

  it('kallsyms: every symbol with its address and letter', () => {
    expect(shows('grep " sys_call_table$\\| tcp_v4_rcv$" /proc/kallsyms')).toBe(
      'ffffffff818ac410 T tcp_v4_rcv\nffffffff82000360 D sys_call_table\n',
    )
  })

  it('modules, and lsmod of it', () => {
    const rows = shows('cat /proc/modules; lsmod').split('\n')
    expect(rows[0]).toMatch(/^e1000 \d+ 0 - Live 0xffffffffc[0-9a-f]{7}$/)
    expect(rows[1]).toBe('Module                  Size  Used by')
    expect(rows[2]).toMatch(/^e1000 +\d+ {2}0$/)
  })

  it('self is whoever asks; a process has its name, state and arguments', () => {
    expect(shows('cat /proc/self/comm; grep State /proc/1/status; cat /proc/1/cmdline; echo')).toBe(
      'cat\nState:\tS (sleeping)\n/sbin/init\n',
    )
  })

  it('a process that has gone has no directory', () => {
    expect(shows('sleep 1 & cat /proc/$!/comm', 'sleep 2', 'cat /proc/502/comm')).toContain('No such file')
  })

  it('net/tcp: a listener is there as long as it listens', () => {
    const out = shows('nc -l -p 9999 &', 'cat /proc/net/tcp; netstat -tln')
    expect(out).toMatch(
      /^ {3}0: 00000000:270F 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {5}0 {8}0 \d+ 1 /m,
    )
    expect(out).toContain('tcp        0      0 0.0.0.0:9999            0.0.0.0:*               LISTEN     \n')
  })
})

describe('/sys/module', () => {
  const load = 'insmod recvmsg_block.ko deny=10.0.0.9 debug=2'
  const folder = '/sys/module/recvmsg_block'

  it('parameters that may be seen, and what is known of the module', () => {
    expect(shows(load, `cat ${folder}/parameters/deny ${folder}/parameters/debug ${folder}/initstate`)).toBe(
      '10.0.0.9\n2\nlive\n',
    )
  })

  it('nothing is left of an unloaded module', () => {
    expect(shows(load, `cat ${folder}/refcnt; rmmod recvmsg_block; cat ${folder}/refcnt`)).toBe(
      `0\ncat: ${folder}/refcnt: No such file or directory\n`,
    )
  })
})
