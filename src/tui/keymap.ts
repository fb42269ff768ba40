/** The one table of keys: what the browser obeys, its help and docs/browse.md are made of it. */

export type Action =
  | 'up' | 'down' | 'pageUp' | 'pageDown' | 'first' | 'last'
  | 'nextPane' | 'previousPane' | 'zoom'
  | 'view1' | 'view2' | 'view3' | 'view4' | 'view5' | 'view6' | 'view7'
  | 'open' | 'close' | 'follow' | 'back' | 'cast'
  | 'earlier' | 'later'
  | 'filter' | 'goto' | 'command' | 'clear'
  | 'copyAddress' | 'copyCommand'
  | 'redraw' | 'help' | 'suspend' | 'quit' // prettier-ignore

export interface Binding {
  readonly action: Action
  /** as the terminal's reader names them: `S-tab`, `C-z` */
  readonly keys: readonly string[]
  /** as people write them */
  readonly shown: string
  readonly help: string
}

export interface Group {
  readonly title: string
  readonly bindings: readonly Binding[]
}

const key = (action: Action, keys: string, shown: string, help: string): Binding => ({
  action,
  keys: keys.split(' '),
  shown,
  help,
})

export const keymap: readonly Group[] = [
  {
    title: 'Moving',
    bindings: [
      key('up', 'up k', 'Up k', 'one row up'),
      key('down', 'down j', 'Down j', 'one row down'),
      key('pageUp', 'pageup C-b', 'PgUp', 'a page up'),
      key('pageDown', 'pagedown space C-f', 'PgDn Space', 'a page down'),
      key('first', 'home', 'Home', 'the first row'),
      key('last', 'end S-g', 'End G', 'the last row'),
      key('nextPane', 'tab', 'Tab', 'the next pane'),
      key('previousPane', 'S-tab', 'Shift-Tab', 'the pane before'),
      key('zoom', 'z', 'z', 'the pane alone, and back'),
    ],
  },
  {
    title: 'Views',
    bindings: [
      key('view1', '1', '1', 'tasks and their open files'),
      key('view2', '2', '2', "sockets of TCP's and UDP's tables"),
      key('view3', '3', '3', 'the kernel log'),
      key('view4', '4', '4', 'modules'),
      key('view5', '5', '5', 'hooks: what the checks found, and the lists of security modules'),
      key('view6', '6', '6', 'steps and snapshots of a recorded dump'),
      key('view7', '7', '7', 'output of the last command'),
    ],
  },
  {
    title: 'Structures',
    bindings: [
      key('follow', 'enter', 'Enter', 'follow the pointer; open a member; go to the step'),
      key('back', 'backspace', 'Backspace', 'back to where the pointer was followed'),
      key('open', 'right l +', 'Right l', 'open in place, pointers too'),
      key('close', 'left h -', 'Left h', 'close, or go to the parent'),
      key('cast', 't', 't', 'show the same address as another type'),
      key('copyAddress', 'y', 'y', 'copy the address'),
      key('copyCommand', 'S-y', 'Y', 'copy the crash command that shows the same'),
    ],
  },
  {
    title: 'Time',
    bindings: [
      key('earlier', '< ,', '< ,', 'the snapshot before: what changed is marked *, what is new +'),
      key('later', '> .', '> .', 'the snapshot after'),
    ],
  },
  {
    title: 'Searching',
    bindings: [
      key('filter', '/', '/', 'filter the pane as you type'),
      key('goto', 'g', 'g', 'go to a name, pid, symbol, address, or TYPE ADDRESS'),
      key('command', ':', ':', 'run a crash command'),
      key('clear', 'escape', 'Esc', 'drop the filter, close what is open above'),
    ],
  },
  {
    title: 'Program',
    bindings: [
      key('help', '? f1', '? F1', 'this help'),
      key('redraw', 'C-l', 'Ctrl-L', 'draw everything anew'),
      key('suspend', 'C-z', 'Ctrl-Z', 'back to the shell; fg returns'),
      key('quit', 'q C-c', 'q Ctrl-C', 'leave'),
    ],
  },
]

const actions = new Map(
  keymap.flatMap(({ bindings }) =>
    bindings.flatMap(({ action, keys }) => keys.map((name) => [name, action] as const)),
  ),
)

/** What a key means outside prompts. */
export const actionOf = (name: string): Action | undefined => actions.get(name)

/** The keys of an action, as people write them. */
export function shownKeys(action: Action): string {
  for (const { bindings } of keymap) {
    const found = bindings.find((binding) => binding.action === action)
    if (found !== undefined) return found.shown
  }
  return ''
}

/** The table for docs/browse.md. */
export function keymapMarkdown(): string {
  const rows = keymap.flatMap(({ title, bindings }) =>
    bindings.map(
      ({ shown, help }, i) =>
        `| ${i === 0 ? title : ''} | ${shown
          .split(' ')
          .map((k) => `\`${k}\``)
          .join(' ')} | ${help} |`,
    ),
  )
  return ['| | key | what it does |', '| --- | --- | --- |', ...rows].join('\n')
}
