# The entry point of a Ruby function image: the Function Runtime API on $PORT.
#
#     GET /healthz   200 {}
#     POST /*        {"context": {...}, "payload": ...}, answered with
#                    {"context": {"error": ..., "logs": {...}}, "payload": ...}
#
# Handlers run in workers: host.rb, started by this file and spoken to by ../PROTOCOL.md. So a
# handler that ends its process fails one call and no more, and what it prints is that call's log.
# DISPATCH_CONCURRENCY says how many calls run at the same time; more wait.
#
# On AWS Lambda it does not listen, but asks for calls: the Lambda Runtime API.
# frozen_string_literal: true

require "json"
require "rbconfig"
require "securerandom"
require "socket"

# What runs between HTTP and the workers.
module DispatchServe
  LOAD = 1
  CALL = 2
  HELLO = 16
  LOADED = 17
  RESULT = 19
  ERROR = 20
  LAST = 0x80
  TOKEN = 8
  # Of a request's body besides its payload: the context.
  SLACK_BYTES = 1 << 20
  MAX_HEAD_BYTES = 64 << 10
  MAX_CONNECTIONS = 256
  # A connection on which nothing comes for so long is closed.
  IDLE_SECONDS = 30
  # Names the server of the Lambda Runtime API. Handlers do not see it: a call is not theirs to ask
  # for.
  RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
  # Kept of the time Lambda gives a call, to answer that it took too long.
  MARGIN_MS = 100
  # The first is ours; OpenFaaS asks the others.
  HEALTH = ["/healthz", "/_/health", "/_/ready"].freeze
  # An event that is no call: whether the handler is loaded.
  HEALTHZ = '"healthz"'
  REASONS = { 200 => "OK", 400 => "Bad Request", 404 => "Not Found", 413 => "Content Too Large",
              431 => "Request Header Fields Too Large", 500 => "Internal Server Error" }.freeze

  def self.number(name, usual)
    text = ENV[name].to_s.empty? ? usual.to_s : ENV[name]
    return text.to_i if text.match?(/\A[1-9]\d*\z/)

    abort "#{name} is #{text.inspect}; write a whole number from 1 on"
  end

  PORT = number("PORT", 8080)
  MAX_PAYLOAD_BYTES = number("DISPATCH_MAX_PAYLOAD_BYTES", 6 << 20)
  MAX_LOG_BYTES = number("DISPATCH_MAX_LOG_BYTES", 64 << 10)
  CONCURRENCY = number("DISPATCH_CONCURRENCY", 1)

  class Gone < StandardError; end

  # The call took longer than its context allows.
  class Late < StandardError; end

  # A request that is answered with this status; the handler is not called.
  class Refused < StandardError
    attr_reader :status

    def initialize(status, message)
      super(message)
      @status = status
    end

    def answer
      error = { type: "InputError", message: message, stacktrace: [] }
      [@status, DispatchServe.envelope(error)]
    end
  end

  # One output stream of a worker, cut at a limit.
  class Log
    attr_reader :pipe

    def initialize(pipe)
      @pipe = pipe
      @kept = +""
      @cut = false
    end

    # Whether there may be more, now or later.
    def read
      part = @pipe.read_nonblock(65_536, exception: false)
      return false unless part.is_a?(String)

      kept = part.byteslice(0, MAX_LOG_BYTES - @kept.bytesize)
      @cut ||= kept.bytesize < part.bytesize
      @kept << kept
      true
    end

    def take
      nil while read
      lines = @kept.force_encoding("UTF-8").scrub.lines(chomp: true)
      lines << "[dispatch: log cut after #{MAX_LOG_BYTES} bytes]" if @cut
      @kept = +""
      @cut = false
      lines
    end
  end

  # A process that answers one call at a time; its handler is loaded.
  class Worker
    def initialize
      @socket, theirs = UNIXSocket.pair
      pipes = [IO.pipe, IO.pipe]
      @logs = pipes.map { |ours, _| Log.new(ours) }
      # A group of its own, which ends with it.
      options = { :in => File::NULL, :out => pipes[0][1], :err => pipes[1][1], 3 => theirs,
                  :pgroup => true }
      @pid = Process.spawn(RbConfig.ruby, File.join(__dir__, "host.rb"), options)
      [theirs, pipes[0][1], pipes[1][1]].each(&:close)
      load
    end

    # The kind of the answer, its body, and the lines of both logs. A call whose time went by while
    # it waited is not begun: nobody waits for it any more.
    def call(context, payload, limit_ms, came)
      @ends = limit_ms && (came + limit_ms / 1000.0)
      return [ERROR, failure(timed_out(limit_ms)), [[], []]] if @ends && DispatchServe.now >= @ends

      token = SecureRandom.bytes(TOKEN)
      forged = 0
      begin
        send_frame(CALL, token, [context.bytesize].pack("V"), context, payload)
        kind, body = receive
        until body.start_with?(token)
          kind, body = receive
          forged = LAST
        end
        body = body.byteslice(TOKEN..)
      rescue Gone, SystemCallError
        kind = ERROR | LAST
        body = failure(ending)
      rescue Late
        kind = ERROR | LAST
        body = failure(timed_out(limit_ms))
      end
      [kind | forged, body, @logs.map(&:take)]
    end

    def end_all
      @socket.close
      end_group
      @logs.each { |log| log.pipe.close }
    end

    private

    def load
      kind, = receive
      raise "the worker did not say hello" unless kind == HELLO

      order = { steps: [], handler: ENV.fetch("DISPATCH_HANDLER", ""),
                directory: ENV.fetch("DISPATCH_FUNCTION", "/function"),
                environment: ENV.to_h.except(RUNTIME_API), max_payload_bytes: MAX_PAYLOAD_BYTES, load_timeout_ms: 0 }
      send_frame(LOAD, JSON.generate(order))
      kind, body = receive
      return if kind == LOADED

      failure = JSON.parse(body)
      raise [*@logs.flat_map(&:take), failure["message"], *failure["stacktrace"]].join("\n")
    rescue Gone
      words = @logs.flat_map(&:take)
      raise ["the worker ended as it started", *words].join("\n")
    end

    def timed_out(limit_ms) = "the function timed out after #{limit_ms.round} ms"

    def failure(message) = JSON.generate({ message: message, stacktrace: [] })

    def ending
      _, status = Process.wait2(@pid)
      how = status.signaled? ? "signal #{status.termsig}" : "exit status #{status.exitstatus}"
      "the function's process ended before it answered: #{how}"
    end

    def end_group
      Process.kill(:KILL, -@pid)
    rescue Errno::ESRCH, Errno::EPERM
      nil
    ensure
      begin
        loop { Process.wait(-@pid) }
      rescue Errno::ECHILD
        nil
      end
    end

    def send_frame(kind, *parts)
      @socket.write([parts.sum(&:bytesize), kind].pack("VC"), *parts)
    end

    def receive
      length, kind = exactly(5).unpack("VC")
      [kind, exactly(length)]
    end

    # So many bytes; what the worker prints meanwhile is read too, so that it never waits.
    def exactly(length)
      bytes = String.new(capacity: length)
      logs = @logs.to_h { |log| [log.pipe, log] }
      while bytes.bytesize < length
        ready, = IO.select([@socket, *logs.keys], nil, nil, @ends && [@ends - DispatchServe.now, 0].max)
        raise Late if ready.nil?

        ready.each do |io|
          next (logs.delete(io) unless logs[io].read) if logs[io]

          part = @socket.read_nonblock(length - bytes.bytesize, exception: false)
          raise Gone if part.nil?

          bytes << part if part.is_a?(String)
          break if bytes.bytesize >= length
        end
      end
      bytes
    end
  end

  # Calls, each in a worker of its own.
  class Pool
    def initialize
      @turns = SizedQueue.new(CONCURRENCY)
      @idle = Queue.new
      @idle << Worker.new
    end

    def call(*call)
      @turns << true
      worker = begin
        @idle.pop(true)
      rescue ThreadError
        Worker.new
      end
      kind, body, logs = worker.call(*call)
      (kind & LAST).zero? ? @idle << worker : worker.end_all
      [kind & ~LAST, body, logs]
    ensure
      @turns.pop
    end

    def end_all
      @idle.pop(true).end_all until @idle.empty?
    end
  end

  # One connection: its requests, one after the other.
  class Connection
    def initialize(socket, server)
      @socket = socket
      @server = server
    end

    def serve
      nil while wait && @server.work { request }
    rescue SystemCallError, IOError
      nil
    ensure
      @socket.close
    end

    private

    def wait
      !@socket.wait_readable(IDLE_SECONDS).nil? && !@socket.eof?
    end

    # Whether more may come on this connection.
    def request
      head = lines
      return false if head.nil?

      method, path, version = head.shift.to_s.split
      fields = head.to_h { |line| line.split(":", 2).map(&:strip) }.transform_keys(&:downcase)
      @keep = version == "HTTP/1.1" && fields["connection"].to_s.downcase != "close"
      return answer(200, "{}") if method == "GET" && HEALTH.include?(path)
      return answer(404, '{"message": "GET /healthz, or POST a call"}') if method != "POST"

      reply(DispatchServe.answered(@server.pool, body(fields)))
    rescue Refused => e
      reply(e.answer)
    end

    def reply(status_and_body)
      # What is left of a refused body would be taken for the next request.
      @keep &&= status_and_body[0] == 200
      answer(*status_and_body)
    end

    def lines
      lines = []
      left = MAX_HEAD_BYTES
      while (line = @socket.gets("\n", left))
        left -= line.bytesize
        raise Refused.new(431, "the head is larger than #{MAX_HEAD_BYTES} bytes") if left <= 0
        return lines if line.chomp.empty?

        lines << line.chomp
      end
      nil
    end

    def body(fields)
      most = MAX_PAYLOAD_BYTES + SLACK_BYTES
      too_large = Refused.new(413, "the request has more than the #{most} bytes that are allowed")
      length = fields.fetch("content-length", "0")
      chunked = fields["transfer-encoding"].to_s.downcase.include?("chunked")
      unless chunked || length.match?(/\A\d+\z/)
        raise Refused.new(400, "Content-Length is #{length.inspect}; send a number of bytes")
      end
      raise too_large if !chunked && length.to_i > most

      expects = fields["expect"].to_s.downcase == "100-continue"
      @socket.write("HTTP/1.1 100 Continue\r\n\r\n") if expects
      chunked ? chunks(most, too_large) : exactly(length.to_i)
    end

    def chunks(most, too_large)
      body = +""
      loop do
        line = @socket.gets("\n", 1024).to_s[/\A\h+/]
        raise Refused.new(400, "a chunk does not begin with its length") if line.nil?

        length = line.to_i(16)
        raise too_large if body.bytesize + length > most

        if length.zero?
          lines
          return body
        end
        body << exactly(length)
        @socket.gets("\n", 8)
      end
    end

    def exactly(length)
      body = length.zero? ? "" : @socket.read(length)
      raise IOError, "the request is cut short" if body.nil? || body.bytesize < length

      body
    end

    def answer(status, body)
      @keep &&= !@server.stopping
      @socket.write("HTTP/1.1 #{status} #{REASONS[status]}\r\nContent-Type: application/json\r\n" \
                    "Content-Length: #{body.bytesize}\r\n" \
                    "Connection: #{@keep ? 'keep-alive' : 'close'}\r\n\r\n", body)
      @keep
    end
  end

  # Takes connections until it is told to stop.
  class Server
    attr_reader :pool, :stopping

    def initialize(pool)
      @pool = pool
      @places = SizedQueue.new(MAX_CONNECTIONS)
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @working = 0
      @stopping = false
    end

    def run
      listener = TCPServer.new("0.0.0.0", PORT)
      listener.listen(MAX_CONNECTIONS)
      wake, woken = IO.pipe
      trap(:TERM) { woken.write_nonblock("x") }
      until @stopping
        ready, = IO.select([listener, wake])
        @stopping = ready.include?(wake)
        accept(listener) if ready.include?(listener) && !@stopping
      end
      listener.close
      @lock.synchronize { @changed.wait(@lock) until @working.zero? }
      @pool.end_all
    end

    def accept(listener)
      @places << true
      socket = listener.accept
      socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      Thread.new do
        Connection.new(socket, self).serve
      ensure
        @places.pop
      end
    end

    # Counts a request, from its first byte to the last of its answer: a stop waits for that.
    def work
      @lock.synchronize { @working += 1 }
      yield
    ensure
      @lock.synchronize do
        @working -= 1
        @changed.broadcast
      end
    end
  end

  def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  # Status and body of the answer to a call; `left_ms` is what it may take at most.
  def self.answered(pool, body, left_ms = nil)
    # Its caller's time runs from here, also while it waits for its turn.
    came = now
    context, payload, limit_ms = split(body)
    return [200, "{}"] if context.nil?

    begin
      kind, text, logs = pool.call(context, payload, [limit_ms, left_ms].compact.min, came)
    rescue StandardError => e
      return [500, envelope({ type: "SystemError", message: e.message, stacktrace: [] })]
    end
    return [200, envelope(nil, text, logs)] if kind == RESULT

    [200, envelope({ type: "FunctionError", **JSON.parse(text) }, "null", logs)]
  rescue Refused => e
    e.answer
  end

  # The context and the payload of a call as JSON, and its limit in milliseconds. OpenWhisk has
  # calls in a `value`; where that has no payload, none is meant, as in its /init: nil.
  def self.split(body)
    call = JSON.parse(body.dup.force_encoding("UTF-8"))
    unless call.is_a?(Hash)
      raise Refused.new(400, "the request is no JSON object with context and payload")
    end

    if !call.key?("payload") && call["value"].is_a?(Hash)
      call = call["value"]
      return nil unless call.key?("payload")
    end
    context = call["context"] || {}
    raise Refused.new(400, "the context is no JSON object") unless context.is_a?(Hash)

    limit = context["timeout"]
    limit = nil unless limit.is_a?(Numeric) && limit.positive? && limit < 1e9
    [*[context, call["payload"]].map { |part| JSON.generate(part).b }, limit]
  rescue JSON::ParserError, JSON::GeneratorError, EncodingError => e
    raise Refused.new(400, "the request is not JSON: #{e.message.scrub[0, 200]}")
  end

  def self.envelope(error, payload = "null", logs = [[], []])
    context = { error: error, logs: { stdout: logs[0], stderr: logs[1] } }
    context = JSON.generate(context)
    "{\"context\":#{context},\"payload\":#{payload.dup.force_encoding('UTF-8')}}"
  end

  # The Lambda Runtime API, of which a function is the client.
  class LambdaRuntime
    def initialize(address)
      require "net/http"
      host, port = address.split(":")
      # It answers when there is a call, which may take days.
      options = { read_timeout: nil, write_timeout: nil, keep_alive_timeout: 86_400 }
      @http = Net::HTTP.start(host, (port || 80).to_i, nil, nil, nil, nil, options)
    end

    def serve(pool)
      loop do
        call, body, ends = take
        answer = DispatchServe.lambda_answer(pool, body, DispatchServe.left_ms(ends))
        told = post("invocation/#{call}/response", answer)
        next unless told.code == "413"

        message = "the answer has #{answer.bytesize} bytes, which Lambda does not take"
        fail_with("invocation/#{call}/error", message)
      end
    end

    def fail_with(path, message)
      error = { errorType: "FunctionError", errorMessage: message, stackTrace: [] }
      headers = { "Lambda-Runtime-Function-Error-Type" => "FunctionError" }
      post(path, JSON.generate(error), headers)
    end

    private

    # A call: its id, its body, and when it has to end.
    def take
      told = @http.get("/2018-06-01/runtime/invocation/next")
      unless told.code == "200"
        abort "the Lambda Runtime API answered #{told.code}: #{told.body[0, 500].inspect}"
      end
      ends = told["Lambda-Runtime-Deadline-Ms"]
      [told["Lambda-Runtime-Aws-Request-Id"], told.body, ends && ends.to_i / 1000.0]
    end

    def post(path, body, headers = {})
      headers = { "Content-Type" => "application/json", **headers }
      @http.post("/2018-06-01/runtime/#{path}", body, headers)
    end
  end

  # What is left until a time, less what it takes to answer; nil where there is no limit.
  def self.left_ms(ends) = ends && [1, (ends - Time.now.to_f) * 1000 - MARGIN_MS].max

  def self.lambda_answer(pool, body, left)
    body.strip == HEALTHZ ? "{}" : answered(pool, body, left)[1]
  end

  def self.serve_lambda(address)
    runtime = LambdaRuntime.new(address)
    begin
      pool = Pool.new
    rescue RuntimeError => e
      runtime.fail_with("init/error", e.message)
      abort e.message
    end
    trap(:TERM) { exit!(0) }
    runtime.serve(pool)
  end

  def self.main
    return serve_lambda(ENV[RUNTIME_API]) unless ENV[RUNTIME_API].to_s.empty?

    pool = begin
      Pool.new
    rescue RuntimeError => e
      abort e.message
    end
    Server.new(pool).run
    exit!(0)
  end
end

DispatchServe.main if $PROGRAM_NAME == __FILE__
