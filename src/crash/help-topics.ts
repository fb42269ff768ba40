/** Help pages that belong to no command. */

const input = `INPUT
  A line is a command with its words. Words are parted by blanks; "double quotes" and (parentheses) hold one
  together. A word begun with ( goes on to its ).

  name ADDR        the name of a struct, union or typedef prints it: task_struct.pid,comm ffff...
  *name ADDR       the same
  # text           nothing: a comment
  !program         run a program; ! alone starts a shell
  \\name            the command itself, also where an alias has its name
  < file           take the lines of the file as commands
  name < file      the command once for each line of the file
  r, r7, r text    the last line again; the seventh; the last one begun with text
  h                the lines given so far
  Ctrl-C           end the command running now
  Tab              complete commands, types, members and symbols

  ~/.coredrillrc, then ./.coredrillrc (when it is your own) are taken as commands at the start.
`

const output = `OUTPUT
  name | program   the output is the program's input; the rest of the line is the shell's
  name > file      into a file; >> adds to it

  At a terminal, output longer than the screen goes through a pager ($CRASHPAGER, $PAGER or less); "set scroll off",
  or sf, ends that. Control characters within text of the dump are shown as \\x1b at a terminal and left alone in
  files and pipes.
`

/** By name. */
export const helpTopics: ReadonlyMap<string, string> = new Map([
  ['input', input],
  ['output', output],
])
