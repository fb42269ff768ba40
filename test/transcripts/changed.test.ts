/** Nothing of the published transcript is kept as text: change the scenario, and every line of crash's follows. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { crash, recordedText } from '../support/recorded.ts'

const published = readFileSync(new URL('../../scenarios/ubuntu-ncat.yaml', import.meta.url), 'utf8')

/** Replace in the scenario; each text must be there. */
function changed(replacements: Readonly<Record<string, string>>): string {
  let text = published.slice(0, published.indexOf('\nexpect:'))
  for (const [from, to] of Object.entries(replacements)) {
    expect(text).toContain(from)
    text = text.replaceAll(from, to)
  }
  return text
}

test('another pid, parent, terminal, directory, size and other addresses come out where the published ones did', async () => {
  const target = recordedText(
    changed({
      '106445': '4242',
      '26003': '777',
      '/root/lup/target/debug': '/srv/lab',
      '/dev/pts/2': '/dev/pts/7',
      '13160K': '20480K',
      '4652K': '8192K',
      ffff88800e00ca40: 'ffff88800e10ca40',
      ffff88800ebfa500: 'ffff88800ecfa600',
      '0xffff888007a4e040': '0xffff888007b4e040',
      '0xffff888031558680': '0xffff888032558680',
    }),
  )
  expect(await crash(target, 'ps | grep ncat')).toBe(
    '     4242     777   1  ffff88800e10ca40  IN   0.4    20480     8192  ncat\n',
  )
  expect(await crash(target, 'files 4242')).toBe(
    [
      'PID: 4242     TASK: ffff88800e10ca40  CPU: 1    COMMAND: "ncat"',
      'ROOT: /    CWD: /srv/lab',
      ' FD       FILE            DENTRY           INODE       TYPE PATH',
      '  0 ffff888011179f00 ffff8880316b6240 ffff88801236ef80 CHR  /dev/pts/7',
      '  1 ffff888011179f00 ffff8880316b6240 ffff88801236ef80 CHR  /dev/pts/7',
      '  2 ffff888011179f00 ffff8880316b6240 ffff88801236ef80 CHR  /dev/pts/7',
      '  5 ffff88800ecfa600 ffff8880076a29c0 ffff888032558700 SOCK TCP',
      '',
      '',
    ].join('\n'),
  )
  expect(await crash(target, 'struct file.private_data ffff88800ecfa600')).toContain('0xffff888032558680')
  expect(await crash(target, 'struct socket.sk 0xffff888032558680')).toContain('0xffff888007b4e040')
})
