/** The browser without a terminal, on a recorded dump: each key, pane and view, and hostile text. */

import { describe, expect, test } from 'vitest'
import { recordedTarget } from '../../support/recorded.ts'
import { openBrowser, type Session } from '../../support/browser.ts'
import { plainText } from '../../../src/tui/cell.ts'

const open = (at: string, columns = 80, rows = 24): Promise<Session> =>
  openBrowser(recordedTarget('lsm-recvmsg', at), { size: { columns, rows } })

/** ncat's descriptor 4, then its sock. */
async function atSock(columns = 80, rows = 24): Promise<Session> {
  const session = await open('blocked', columns, rows)
  await session.press(
    '/',
    '"ncat',
    'enter',
    'enter',
    'end',
    'enter',
    '/',
    '"private',
    'enter',
    'enter',
    '/',
    '"sk',
    'enter',
    'enter',
  )
  return session
}

const text = (session: Session): string => session.screen().join('\n')

describe('every size', () => {
  test.each([
    [80, 24],
    [81, 25],
    [120, 40],
    [200, 60],
    [300, 100],
  ])('%i×%i: each line is exactly as wide', async (columns, rows) => {
    const session = await open('blocked', columns, rows)
    for (const view of ['1', '2', '3', '4', '5', '6', '7', '?']) {
      await session.press(view)
      const lines = session.browser.lines()
      expect(lines.length).toBe(rows)
      for (const line of lines) expect(plainText(line).length).toBe(columns)
      if (view === '?') await session.press('q')
    }
  })

  test('below 80×24 it says so and obeys only leaving', async () => {
    const session = await open('blocked', 79, 24)
    expect(text(session)).toMatch(/needs 80x24; this\s+terminal has 79x24/)
    await session.press('down', 'q')
    expect(session.asked).toEqual(['quit'])
  })
})

describe('following pointers', () => {
  test('the path stands over the structure; Backspace goes back the same way', async () => {
    const session = await atSock()
    expect(text(session)).toContain('file → socket → sk: struct sock')
    await session.press('backspace')
    expect(text(session)).toContain('file → socket: struct socket')
    await session.press('backspace')
    expect(text(session)).toMatch(/file: struct file/)
    await session.press('backspace')
    expect(session.browser.state.focus).toBe('files')
  })

  test('a pointer opens in place, and closes', async () => {
    const session = await open('blocked')
    await session.press('/', '"ncat', 'enter', 'tab', 'end', 'enter', '/', '"private', 'enter', 'right')
    expect(text(session)).toContain('state = SS_CONNECTED')
    await session.press('left')
    expect(text(session)).not.toContain('state = SS_CONNECTED')
  })

  test('NULL leads nowhere, and says so', async () => {
    const session = await open('blocked')
    await session.press('/', '"ncat', 'enter', 'right', '/', '"plug', 'enter', 'enter')
    expect(text(session)).toContain('points nowhere')
  })

  test('another type at the same address', async () => {
    const session = await atSock()
    await session.press('t', '"tcp_sock', 'enter')
    expect(text(session)).toContain('tcp_sock: struct tcp_sock')
    await session.press('t', '"no_such', 'enter')
    expect(text(session)).toContain('no struct or union no_such')
  })

  test('the member found by name, its bytes and whose end it is', async () => {
    const session = await atSock(120, 40)
    await session.press('/', '"skc_daddr', 'enter')
    expect(text(session)).toContain('skc_daddr = 1698212032 (192.168.56.101)')
    expect(text(session)).toContain('192.168.56.101: the foreign end')
    expect(text(session)).toMatch(/step \d+ ".*": inet_csk_clone_lock|step \d+ ".*": \w+ \(net\//)
    const bytes = session.browser.lines().flatMap((line) => line.filter(({ style }) => style === 'cursor'))
    expect(bytes.map((span) => span.text)).toContain('c0 a8 38 65')
  })
})

describe('copying', () => {
  test('the address, and the crash command that shows the same', async () => {
    const session = await atSock()
    await session.press('/', '"skc_daddr', 'enter', 'y', 'S-y')
    const [address = '', command = ''] = session.copied
    expect(address).toMatch(/^ffff[0-9a-f]{12}$/)
    expect(command).toBe(`struct sock.__sk_common.skc_daddr ${address}`)
    await session.press(':', `"${command}`, 'enter')
    expect(text(session)).toContain('skc_daddr = 1698212032')
  })

  test('of a task', async () => {
    const session = await open('blocked')
    await session.press('S-y')
    expect(session.copied[0]).toMatch(/^task ffff/)
  })
})

describe('time', () => {
  test('every pane follows, and what changed is marked', async () => {
    const session = await open('established')
    await session.press('/', '"ncat', 'enter', 'tab', '>')
    expect(text(session)).toContain('[accepted]')
    expect(text(session)).toContain('(established)')
    await session.press('end')
    expect(text(session)).toMatch(/^\+ +4 SOCK/m)
    await session.press('right')
    expect(session.browser.lines().some((line) => line.some(({ style }) => style === 'changed'))).toBe(true)
  })

  test('the ends of time, and a step of the timeline', async () => {
    const session = await open('booted')
    await session.press('<')
    expect(text(session)).toContain('this is the first snapshot')
    await session.press('6', 'end', 'enter')
    expect(text(session)).toContain('[closed]')
    await session.press('>')
    expect(text(session)).toContain('this is the last snapshot')
  })
})

describe('views', () => {
  test.each([
    ['2', /TCP +LISTEN +192\.168\.56\.1:31337/],
    ['3', /recvmsg_block/],
    ['4', /recvmsg_block/],
    ['5', /socket_recvmsg .*recvmsg_block/],
    ['6', /== syn-received/],
  ])('%s', async (key, shows) => {
    const session = await open('blocked', 120, 40)
    await session.press(key)
    if (key === '5') await session.press('/', '"recvmsg', 'enter')
    if (key === '3') await session.press('end')
    expect(text(session)).toMatch(shows)
  })

  test('what the checks found stands first; a hook of a module is told from the kernel own ones', async () => {
    const session = await open('blocked', 120, 40)
    await session.press('5', '/', '"recvmsg_block', 'enter')
    expect(text(session)).toContain('(recvmsg_block): hooked by module recvmsg_block')
    await session.press('end')
    expect(text(session)).toContain('belongs to module recvmsg_block, not to the kernel')
  })
})

describe('going to', () => {
  test.each([
    ['a pid', '700', /ncat: a process/],
    ['a name', 'ncat', /ncat: a process/],
    ['a symbol', 'init_task', /init_task: struct task_struct/],
    ['an expression', 'tcp_hashinfo.ehash', /struct inet_ehash_bucket/],
  ])('%s', async (_, query, shows) => {
    const session = await open('blocked')
    await session.press('g', `"${query}`, 'enter')
    expect(text(session)).toMatch(shows)
  })

  test('an address in the middle of an object, and TYPE ADDRESS', async () => {
    const session = await atSock()
    await session.press('y')
    const inside = (BigInt(`0x${session.copied[0] ?? ''}`) + 4n).toString(16)
    await session.press('g', `"${inside}`, 'enter')
    expect(text(session)).toContain('tcp_sock: struct tcp_sock')
    await session.press('g', `"sock_common ${session.copied[0] ?? ''}`, 'enter')
    expect(text(session)).toContain('sock_common: struct sock_common')
  })

  test('a type shows its layout; nothing says so', async () => {
    const session = await open('blocked')
    await session.press('g', '"sock_common', 'enter')
    expect(text(session)).toContain('Output of: struct -o sock_common')
    await session.press('g', '"no_such_thing', 'enter')
    expect(text(session)).toContain('nothing found: no_such_thing')
  })
})

describe('commands', () => {
  test('any crash command, with the selected task as context', async () => {
    const session = await open('blocked')
    await session.press('/', '"ncat', 'enter', ':', '"files', 'enter')
    expect(text(session)).toMatch(/PID: 700 .*COMMAND: "ncat"/)
    await session.press(':', '"ps | grep ncat', 'enter')
    expect(text(session)).toMatch(/ncat/)
  })

  test('an error is shown, a shell escape refused, history kept, q leaves', async () => {
    const session = await open('blocked')
    await session.press(':', '"nonsense', 'enter')
    expect(text(session)).toContain('command not found: nonsense')
    await session.press(':', '"!id', 'enter')
    expect(text(session)).toContain('not run from here')
    await session.press(':', 'up', 'up')
    expect(session.screen().at(-1)).toContain('crash> nonsense')
    await session.press('C-u', '"q', 'enter')
    expect(session.asked).toEqual(['quit'])
  })

  test('Tab completes', async () => {
    const session = await open('blocked')
    await session.press(':', '"struct sock_comm', 'tab')
    expect(session.screen().at(-1)).toContain('crash> struct sock_common')
  })
})

describe('the mouse', () => {
  const click = (session: Session, x: number, y: number): void =>
    session.browser.handle({ type: 'mouse', action: 'click', x, y })

  test('a view, a row, a pane, a snapshot', async () => {
    const session = await open('blocked')
    click(session, 45, 1)
    expect(session.browser.state.view).toBe('hooks')
    click(session, 2, 1)
    click(session, 5, 5)
    expect(session.browser.state.lists.tasks.cursor).toBe(2)
    click(session, 50, 6)
    expect(session.browser.state.focus).toBe('tree')
    const bar = session.screen()[22] ?? ''
    click(session, bar.indexOf('accepted') + 2, 22)
    await session.browser.settle()
    expect(text(session)).toContain('[accepted]')
  })

  test('the wheel scrolls what is under it', async () => {
    const session = await open('blocked')
    session.browser.handle({ type: 'mouse', action: 'wheelDown', x: 5, y: 5 })
    expect(session.browser.state.lists.tasks.cursor).toBe(3)
  })
})

describe('text of a dump', () => {
  test('nothing on the screen can drive the terminal, whatever is typed at it', async () => {
    const session = await open('closed')
    for (const view of ['1', '2', '3', '4', '5', '6']) {
      await session.press(view, 'end')
      for (const line of session.browser.lines()) expect(plainText(line)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/) // eslint-disable-line no-control-regex
    }
  })

  test('only ASCII where that is asked for', async () => {
    const session = await openBrowser(recordedTarget('lsm-recvmsg', 'blocked'), { ascii: true })
    await session.press('right', 'enter', '?')
    expect(text(session)).toMatch(/^[\x20-\x7e\n]*$/)
  })
})

test('any keys in any order leave a whole screen', async () => {
  const keys = [
    'up',
    'down',
    'tab',
    'enter',
    'right',
    'left',
    'backspace',
    '<',
    '>',
    'z',
    '2',
    '1',
    '5',
    'end',
    'home',
    'pagedown',
    't',
    'escape',
    '/',
    'a',
    'enter',
    '6',
    '3',
    'S-y',
    '4',
    '7',
    '?',
    'q',
  ]
  const session = await open('blocked')
  let seed = 7
  for (let i = 0; i < 300; i++) {
    seed = (seed * 1103515245 + 12345) % 2147483648
    await session.press(keys[seed % keys.length] as string)
    for (const line of session.browser.lines()) expect(plainText(line).length).toBe(80)
  }
})
