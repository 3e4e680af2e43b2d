# The Ruby host: loads a handler and calls it. Start: `ruby host.rb`, with the socket as
# descriptor 3. The protocol is in ../PROTOCOL.md.
# frozen_string_literal: true

require "json"
require "socket"

LOAD = 1
CALL = 2
HELLO = 16
LOADED = 17
LOAD_FAILED = 18
RESULT = 19
ERROR = 20
LAST = 0x80
TOKEN = 8

# What lies between the server and a handler. A class of its own, so that a handler's `def` at the
# top level cannot meet it.
class DispatchHost
  def initialize
    @socket = UNIXSocket.for_fd(3)
    @socket.close_on_exec = true
    @socket.sync = true
    $stdout.sync = true
    $stderr.sync = true
  end

  def serve
    send_frame(HELLO, "")
    kind, body = receive
    return unless kind == LOAD

    order = JSON.parse(body)
    ENV.replace(order["environment"])
    begin
      handler = find(order["directory"], order["handler"].to_s)
    rescue Exception => e # rubocop:disable Lint/RescueException
      send_frame(LOAD_FAILED, describe(e))
      return
    end
    send_frame(LOADED, "")
    calls(handler, order["max_payload_bytes"])
  end

  private

  def calls(handler, most)
    threads = Thread.list.size
    loop do
      kind, body = receive
      return unless kind == CALL

      token = body.byteslice(0, TOKEN)
      kind, answer = call(handler, body.byteslice(TOKEN..), most)
      kind |= LAST if sweep || Thread.list.size > threads
      send_frame(kind, answer, token)
      return if kind & LAST != 0
    end
  end

  def call(handler, body, most)
    split = 4 + body.unpack1("V")
    context = JSON.parse(body.byteslice(4, split - 4).force_encoding("UTF-8"))
    payload = JSON.parse(body.byteslice(split..).force_encoding("UTF-8"))
    value = handler.call(context, payload)
    begin
      answer = JSON.generate(value)
    rescue StandardError => e
      return [ERROR, failure("the result is not JSON: #{e.message}")]
    end
    if answer.bytesize > most
      return [ERROR, failure("the result has #{answer.bytesize} bytes; #{most} are allowed")]
    end

    [RESULT, answer]
  rescue SystemExit, NoMemoryError, SignalException, StandardError, ScriptError,
         SystemStackError => e
    [ERROR, describe(e)]
  end

  # The handler is `file.function`; without a file the only one holds it.
  def find(directory, handler)
    file, _, function = handler.rpartition(".")
    function = "handle" if function.empty?
    if file.empty?
      files = Dir.glob("*.rb", base: directory)
      raise LoadError, "the handler '#{function}' names no file; write FILE.#{function}" if files.size != 1

      file = files.first.delete_suffix(".rb")
    end
    $LOAD_PATH.unshift(directory)
    load File.join(directory, "#{file}.rb")
    main = TOPLEVEL_BINDING.receiver
    raise NameError, "#{file}.rb defines no #{function}" unless main.respond_to?(function, true)

    main.method(function)
  end

  def describe(error)
    lines = (error.backtrace || []).reject { |line| line.include?(__FILE__) }
    failure("#{error.class}: #{error.message}", lines)
  end

  def failure(message, lines = [])
    JSON.generate({ message: message.scrub[0, 8000],
                    stacktrace: lines.first(200).map { |line| line.scrub[0, 2000] } })
  end

  # Ends the processes a handler left behind; or says that the worker has to end with them.
  def sweep
    Process.waitpid(-1, Process::WNOHANG)
    # Otherwise -1 would be everything of this user.
    return true if Process.pid != 1

    Process.kill(:KILL, -1)
    loop { Process.waitpid(-1) }
  rescue Errno::ECHILD, Errno::ESRCH
    false
  end

  def receive
    head = @socket.read(5)
    return nil if head.nil? || head.bytesize < 5

    length, kind = head.unpack("VC")
    body = length.zero? ? +"" : @socket.read(length)
    body && body.bytesize == length ? [kind, body] : nil
  end

  def send_frame(kind, text, token = "")
    @socket.write([token.bytesize + text.bytesize, kind].pack("VC"), token, text)
  end
end

DispatchHost.new.serve
exit!(0)
