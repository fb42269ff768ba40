/* Connections a second of this machine's own kernel: connect, accept, close of both ends, over the loopback. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 5000;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, length) || listen(listener, 128)) return perror("listen"), 1;
  getsockname(listener, (void *)&address, &length);
  double start = now();
  for (int i = 0; i < count; i++) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (void *)&address, length)) return perror("connect"), 1;
    int server = accept(listener, NULL, NULL);
    if (server < 0) return perror("accept"), 1;
    close(client);
    close(server);
  }
  printf("%.0f\n", count / (now() - start));
  return 0;
}
