import { beforeAll, describe, expect, it } from 'vitest'
import { runSteps } from '../../support/scenario.ts'

/** One machine: lines typed one after the other. @returns what each showed, and its status */
function session(lines: readonly string[]): Map<string, { output: string; status: number | undefined }> {
  const steps = lines.map((text) => `  - shell: { process: shell, line: ${JSON.stringify(text)} }\n`)
  const rows = runSteps(steps.join('')).rows.filter(({ output }) => output !== undefined)
  return new Map(lines.map((line, i) => [line, { output: rows[i]?.output ?? '', status: rows[i]?.status }]))
}

type Case = readonly [line: string, output: string | RegExp, status?: number]

function suite(title: string, cases: readonly Case[]): void {
  describe(title, () => {
    let seen: ReturnType<typeof session>
    beforeAll(() => {
      seen = session(cases.map(([line]) => line))
    })
    it.each(cases.map(([line, output, status = 0]) => [line, output, status] as const))(
      '%s',
      (line, output, status) => {
        const found = seen.get(line)
        if (typeof output === 'string') expect(found?.output).toBe(output)
        else expect(found?.output).toMatch(output)
        expect(found?.status).toBe(status)
      },
    )
  })
}

suite('text', [
  ['echo -n "a b\nc\n" > /tmp/t; echo "  d" >> /tmp/t; cat /tmp/t', 'a b\nc\n  d\n'],
  ['cat -n /tmp/t', '     1\ta b\n     2\tc\n     3\t  d\n'],
  ['head -n 1 /tmp/t; tail -n1 /tmp/t; tail -n +2 /tmp/t; head -2 /tmp/t', 'a b\n  d\nc\n  d\na b\nc\n'],
  ['head -c 3 /tmp/t; tail -c 2 /tmp/t', 'a bd\n'],
  ['head -n 1 /tmp/t /tmp/t', '==> /tmp/t <==\na b\n\n==> /tmp/t <==\na b\n'],
  ['tail /nosuch', "tail: cannot open '/nosuch' for reading: No such file or directory\n", 1],
  ['wc /tmp/t; wc -l < /tmp/t; cat /tmp/t | wc -w', ' 3  4 10 /tmp/t\n3\n4\n'],
  [
    'grep -n c /tmp/t; grep -v c /tmp/t; grep -c . /tmp/t; grep -o "[a-c]" /tmp/t',
    '2:c\na b\n  d\n3\na\nb\nc\n',
  ],
  [
    'grep "^a\\|d$" /tmp/t; grep -E "a|c" /tmp/t; grep -F "." /tmp/t; grep -i A /tmp/t',
    'a b\n  d\na b\nc\na b\n',
  ],
  ['grep -q c /tmp/t && echo yes; grep x /tmp/t', 'yes\n', 1],
  ['grep "[" /tmp/t', 'grep: Invalid regular expression\n', 2],
  ['grep x /nosuch', 'grep: /nosuch: No such file or directory\n', 2],
  ['grep "a*" /tmp/t | wc -l; grep "*" /tmp/t', '3\n', 1],
])

suite('who, what and when', [
  ['uname -r; uname -m; uname -n; uname -p', '6.1.0-56-amd64\nx86_64\ncoredrill\nunknown\n'],
  ['uname -a', /^Linux coredrill 6\.1\.0-56-amd64 #1 SMP PREEMPT_DYNAMIC Debian .* x86_64 GNU\/Linux\n$/],
  ['whoami; id -u; id', 'root\n0\nuid=0(root) gid=0(root) groups=0(root)\n'],
  ['sleep 0.5; sleep x', 'sleep: invalid time interval ‘x’\n', 1],
  ['sleep 100 & kill $!; wait $!', /^\[1\] \d+\n\[1\]\+ {2}Terminated {14}sleep 100\n$/, 143],
  ['kill -l | wc -w; kill 99999', '31\n-bash: kill: (99999) - No such process\n', 1],
  ['ps', /^ {4}PID TTY {10}TIME CMD\n {4}500 pts\/0 {4}00:00:00 bash\n +\d+ pts\/0 {4}00:00:00 ps\n$/],
  ['ps -ef | head -n 2', /^UID {10}PID {4}PPID {2}C STIME TTY {10}TIME CMD\nroot {11}1 .*\/sbin\/init\n$/],
  ['pwd; cd /tmp && pwd; cd /nosuch', '/root\n/tmp\n-bash: cd: /nosuch: No such file or directory\n', 1],
])

suite('directories', [
  ['cd /tmp; cd -; cd /proc/self; pwd; cd; pwd', '/root\n/proc/500\n/root\n'],
  ['/bin/pwd; cat /proc/self/net/udp | wc -l', '/root\n1\n'],
])

suite('calls made by their numbers', [
  // on x86-64, number 223 is timer_settime: no slot to fill, and what it says is printed as -1
  ['./syscall', 'syscall error -1 : Operation not permitted\n', 255],
  ['./syscall32; echo $?', 'syscall error -1 : Operation not permitted\n255\n'],
  ['./forktest -n 2', /^child: pid (\d+)\nparent: child \1\nchild: pid (\d+)\nparent: child \2\n$/],
  ['./forktest -l', /^child: pid (\d+)\nparent: child \1\n$/],
  ['./opentest /etc/passwd /nosuch', 'open /etc/passwd: 3\nopen /nosuch: No such file or directory\n', 1],
  ['./opentest -l -c /tmp/made; cat /tmp/made', 'open /tmp/made: 3\n'],
  ['./opentest32 /etc/passwd; ./forktest32 -l | head -n 1 | wc -l', 'open /etc/passwd: 3\n1\n'],
])

suite('modules', [
  ['lsmod', /^Module {18}Size {2}Used by\ne1000 {14} +\d+ {2}0\n$/],
  ['insmod', 'insmod: ERROR: missing filename.\n', 1],
  ['insmod nosuch.ko', 'insmod: ERROR: could not load module nosuch.ko: No such file or directory\n', 1],
  [
    'insmod recvmsg_block.ko debug=abc',
    'insmod: ERROR: could not insert module recvmsg_block.ko: Invalid parameters\n',
    1,
  ],
  ['insmod recvmsg_block.ko deny=10.0.0.9; lsmod | head -n 2 | tail -n 1', /^recvmsg_block +\d+ {2}0\n$/],
  ['insmod recvmsg_block.ko deny=10.0.0.9', /: File exists\n$/, 1],
  ['dmesg | tail -n 1', /^\[ +\d+\.\d{6}\] recvmsg_block: .*\n$/],
  ['rmmod recvmsg_block; lsmod | wc -l', '2\n'],
  ['rmmod recvmsg_block', 'rmmod: ERROR: Module recvmsg_block is not currently loaded\n', 1],
  ['modinfo edu.ko | grep parm', 'parm:           pid:The PID to which we deny fork() (int)\n'],
  ['modinfo nosuch', 'modinfo: ERROR: Module nosuch not found.\n', 1],
  ['dmesg -C; dmesg; dmesg -r | wc -l', '0\n'],
])

suite('sockets', [
  ['./tcpcli -p 10000', "client: can't connect to server: Connection refused\n", 1],
  ['./tcpcli -p 0', 'usage: tcpcli [-v] [-h host] [-p port]\n', 1],
  ['./tcpcli -h nosuch.example', 'client: unknown host nosuch.example\n', 1],
  ['./tcpserv -v -p10000 &', /^\[1\] \d+\nlistening on the TCP port 10000\n$/],
  ['./tcpserv -p 10000', "server: can't bind local address: Address already in use\n", 1],
  [
    'echo hello | ./tcpcli -v -p 10000',
    /^connected to 127\.0\.0\.1:10000\nconnection from 127\.0\.0\.1:\d+\nhello\n$/,
  ],
  ['echo again | ./tcpcli32 -h localhost -p 10000', /again\n$/],
  ['nc -z -v 127.0.0.1 10000', /Connection to 127\.0\.0\.1 10000 port \[tcp\/\*\] succeeded!\n/],
  [
    'netstat -tln',
    /^Active Internet connections \(only servers\)\nProto .*\ntcp {8}0 {6}0 0\.0\.0\.0:10000 {11}0\.0\.0\.0:\* {15}LISTEN {5}\n$/,
  ],
  [
    'kill %1; nc -v 127.0.0.1 9',
    /^nc: connect to 127\.0\.0\.1 port 9 \(tcp\) failed: Connection refused\n/,
    1,
  ],
  ['nc -u -l -p 9999 & sleep 1; echo datagram | nc -u -w 1 127.0.0.1 9999', /datagram\n/],
  ['netstat -uan', /^Active .*\nProto .*\nudp {8}0 {6}0 0\.0\.0\.0:9999|udp {8}0 {6}0 127\.0\.0\.1:9999/m],
  ['nc', /^usage: nc /, 1],
  ['nc -l -k', /^usage: nc /, 1],
  ['nc 127.0.0.1 70000', 'nc: port number invalid: 70000\n', 1],
])
