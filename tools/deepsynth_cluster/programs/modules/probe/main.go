// Command probe is what the pods of the cluster's own tests run.
//
//	probe say WORDS        print them
//	probe exists PATH      fail when there is nothing
//	probe write PATH TEXT  write a file
//	probe wait             until it is stopped
//	probe eat              memory without end
//	probe obey PATH        what a file says once it is there: "exit CODE MESSAGE" or "eat"; deaf to SIGTERM
//	probe meet NAME...     serve, and end once every peer of these names has answered
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const port = "8080"

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(verb string, arguments []string) error {
	switch verb {
	case "say":
		fmt.Println(strings.Join(arguments, " "))
		return nil
	case "exists":
		_, err := os.Lstat(arguments[0])
		return err
	case "write":
		return os.WriteFile(arguments[0], []byte(arguments[1]), 0o644)
	case "wait":
		wait()
		return nil
	case "eat":
		eat()
		return nil
	case "obey":
		return obey(arguments[0])
	case "meet":
		return meet(arguments)
	}
	return fmt.Errorf("no verb %q", verb)
}

func wait() {
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM, syscall.SIGINT)
	<-stopped
}

func eat() {
	var eaten [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		eaten = append(eaten, block)
	}
}

// obey ends with the code that the file says and leaves its message where the kubelet looks for it.
func obey(path string) error {
	signal.Ignore(syscall.SIGTERM)
	for {
		if order, err := os.ReadFile(path); err == nil {
			verb, rest, _ := strings.Cut(string(order), " ")
			if verb == "eat" {
				eat()
			}
			code, message, _ := strings.Cut(rest, " ")
			number, err := strconv.Atoi(code)
			if err != nil {
				return err
			}
			if err := os.WriteFile("/dev/termination-log", []byte(message), 0o644); err != nil {
				return err
			}
			os.Exit(number)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// meet dials without end, as names and peers appear one after the other; the Job's deadline ends it.
func meet(names []string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	go serve(listener)
	for _, name := range names {
		for {
			connection, err := net.DialTimeout("tcp", net.JoinHostPort(name, port), time.Second)
			if err == nil {
				connection.Close()
				fmt.Println("met", name)
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	time.Sleep(5 * time.Second) // for peers that come later
	return nil
}

func serve(listener net.Listener) {
	for {
		if connection, err := listener.Accept(); err == nil {
			connection.Close()
		}
	}
}
