# The Perl host: loads a handler and calls it. As a worker, `perl host.pl` with the socket as
# descriptor 3, it speaks runtimes/PROTOCOL.md; as a function image, `perl host.pl serve`, the
# Function Runtime API on $PORT, one call at a time.
use strict;
use warnings;
use Json;
use POSIX ();
use Socket;

my ($LOAD, $CALL, $HELLO, $LOADED, $LOAD_FAILED, $RESULT, $ERROR) = (1, 2, 16, 17, 18, 19, 20);
my ($LAST, $TOKEN_BYTES) = (0x80, 8);
my $wire;

$| = 1;
($ARGV[0] // '') eq 'serve' ? serve() : work();
POSIX::_exit(0);

# -- the handler ----------------------------------------------------------------------------------

# The handler is `file.function`; without a file the only one holds it.
sub find {
    my ($directory, $handler) = @_;
    my ($file, $function) = $handler =~ /^(.*)\.([^.]*)$/ ? ($1, $2) : ('', $handler);
    $function = 'handle' if $function eq '';
    if ($file eq '') {
        my @files = glob "$directory/*.pl";
        die "the handler '$function' names no file; write FILE.$function\n" if @files != 1;
        ($file) = $files[0] =~ m{([^/]*)\.pl$};
    }
    unshift @INC, $directory, split /:/, $ENV{PERL5LIB} // '';
    package main;
    my $done = do "$directory/$file.pl";
    die $@ if $@;
    die "$file.pl: $!\n" if !defined $done && $!{ENOENT};
    my $found = main->can($function) or die "$file.pl defines no function $function\n";
    return $found;
}

# The kind of the answer, and its text.
sub call {
    my ($handler, $context, $payload, $most) = @_;
    my $answer = eval { Json::encode(scalar $handler->($context, $payload)) };
    return ($ERROR, failure("$@")) if !defined $answer;
    my $length = length $answer;
    return ($ERROR, failure("the result has $length bytes; $most are allowed")) if $length > $most;
    return ($RESULT, $answer);
}

sub failure {
    my ($message, @lines) = split /\n/, shift;
    $message = substr $message // 'it died', 0, 8000;
    return Json::encode({ message => $message, stacktrace => [@lines[0 .. min(199, $#lines)]] });
}

sub min { return $_[0] < $_[1] ? $_[0] : $_[1] }

# Ends the processes a handler left behind; or says that the worker has to end with them.
sub sweep {
    return 0 if waitpid(-1, POSIX::WNOHANG()) < 0;
    return 1 if $$ != 1;
    kill 'KILL', -1;
    1 while waitpid(-1, 0) > 0;
    return 0;
}

# -- a worker ---------------------------------------------------------------------------------------

sub work {
    open $wire, '+<&=', 3 or die "descriptor 3: $!\n";
    put($HELLO, '');
    my ($kind, $body) = get();
    return if !$kind || $kind != $LOAD;
    my $order = Json::decode($body);
    %ENV = %{ $order->{environment} };
    my $handler = eval { find($order->{directory}, $order->{handler} // '') };
    return put($LOAD_FAILED, failure("$@")) if !$handler;
    put($LOADED, '');
    while (($kind, $body) = get() and $kind == $CALL) {
        my $token = substr $body, 0, $TOKEN_BYTES;
        my $length = unpack 'V', substr $body, $TOKEN_BYTES, 4;
        my $context = Json::decode(substr $body, $TOKEN_BYTES + 4, $length);
        my $payload = Json::decode(substr $body, $TOKEN_BYTES + 4 + $length);
        my ($answer, $text) = call($handler, $context, $payload, $order->{max_payload_bytes});
        my $last = sweep() ? $LAST : 0;
        put($answer | $last, $token . $text);
        return if $last;
    }
}

sub get {
    my $head = exactly($wire, 5) // return;
    my ($length, $kind) = unpack 'VC', $head;
    my $body = exactly($wire, $length) // return;
    return ($kind, $body);
}

sub exactly {
    my ($stream, $length, $bytes) = (@_, '');
    while (length $bytes < $length) {
        my $got = sysread $stream, $bytes, $length - length $bytes, length $bytes;
        next if !defined $got && $!{EINTR};
        return undef if !$got;
    }
    return $bytes;
}

sub put {
    my ($kind, $text) = @_;
    write_all($wire, pack('VC', length $text, $kind) . $text);
}

sub write_all {
    my ($stream, $bytes, $sent) = (@_, 0);
    while ($sent < length $bytes) {
        my $wrote = syswrite $stream, $bytes, length($bytes) - $sent, $sent;
        return 0 if !defined $wrote && !$!{EINTR};
        $sent += $wrote // 0;
    }
    return 1;
}

# -- a function image -------------------------------------------------------------------------------

my ($stopping, $most, $most_log);

sub number {
    my ($name, $usual) = @_;
    my $text = $ENV{$name} || $usual;
    return $text if $text =~ /^[1-9][0-9]*$/;
    die "$name is '$text'; write a whole number from 1 on\n";
}

sub serve {
    my $port = number('PORT', 8080);
    $most = number('DISPATCH_MAX_PAYLOAD_BYTES', 6 << 20);
    $most_log = number('DISPATCH_MAX_LOG_BYTES', 64 << 10);
    my $handler = find($ENV{DISPATCH_FUNCTION} || '/function', $ENV{DISPATCH_HANDLER} // '');
    socket my $listener, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
    setsockopt $listener, SOL_SOCKET, SO_REUSEADDR, 1;
    bind $listener, pack_sockaddr_in($port, INADDR_ANY) or die "port $port: $!\n";
    listen $listener, 256;
    # Not restarted, so that a wait for the next connection ends.
    my $stop = POSIX::SigAction->new(sub { $stopping = 1 });
    POSIX::sigaction(POSIX::SIGTERM(), $stop);
    $SIG{PIPE} = 'IGNORE';
    while (!$stopping) {
        accept my $client, $listener or next;
        setsockopt $client, SOL_SOCKET, SO_RCVTIMEO, pack 'l!l!', 30, 0;
        answer($client, $handler);
        close $client;
    }
}

# One request of a connection, which is closed then.
sub answer {
    my ($client, $handler) = @_;
    my ($head, $rest) = ('', '');
    while ($head !~ /\r?\n\r?\n/) {
        return if length $head > 64 << 10;
        my $got = sysread $client, $head, 65536, length $head;
        next if !defined $got && $!{EINTR};
        return if !$got;
    }
    ($head, $rest) = split /\r?\n\r?\n/, $head, 2;
    return reply($client, '200 OK', '{}') if $head =~ m{^GET /(?:healthz|_/health|_/ready) };
    return reply($client, '404 Not Found', '{"message": "GET /healthz, or POST a call"}')
        if $head !~ /^POST /;
    my ($status, $body) = body($client, $head, $rest);
    return refuse($client, $status, $body) if $status;
    return if !defined $body;
    my $call = eval { Json::decode($body) };
    return refuse($client, '400 Bad Request', "the request is not JSON: $@") if $@;
    return refuse($client, '400 Bad Request', 'the request is no JSON object')
        if ref $call ne 'HASH';
    my $context = $call->{context} // {};
    return refuse($client, '400 Bad Request', 'the context is no JSON object')
        if ref $context ne 'HASH';
    my ($kind, $text, $logs) = logged($handler, $context, $call->{payload});
    return reply_call($client, '200 OK', undef, $text, $logs) if $kind == $RESULT;
    my $error = { type => 'FunctionError', %{ Json::decode($text) } };
    reply_call($client, '200 OK', $error, 'null', $logs);
}

# Why it is refused and the words for it; or nothing and the body.
sub body {
    my ($client, $head, $rest) = @_;
    my $max = $most + (1 << 20);
    my @large = ('413 Content Too Large', "the request has more than the $max bytes allowed");
    write_all($client, "HTTP/1.1 100 Continue\r\n\r\n") if $head =~ /^expect:\s*100-continue/im;
    if ($head =~ /^transfer-encoding:.*chunked/im) {
        my $body = '';
        while (1) {
            while ($rest !~ /^[^\n]*\n/) { more($client, \$rest) or return }
            $rest =~ s/^([0-9a-fA-F]{1,8})[^\n]*\n//
                or return ('400 Bad Request', 'a chunk does not begin with its length');
            my $length = hex $1;
            return (undef, $body) if !$length;
            return @large if length($body) + $length > $max;
            while (length $rest < $length + 2) { more($client, \$rest) or return }
            $body .= substr $rest, 0, $length, '';
            $rest =~ s/^\r?\n//;
        }
    }
    my ($length) = $head =~ /^content-length:\s*([0-9]+)\s*$/im;
    $length //= 0;
    return @large if $length > $max;
    while (length $rest < $length) { more($client, \$rest) or return }
    return (undef, substr $rest, 0, $length);
}

sub more {
    my ($client, $bytes) = @_;
    return sysread $client, $$bytes, 1 << 20, length $$bytes;
}

# A call whose output goes to two files meanwhile; what they hold are its logs.
sub logged {
    my ($handler, $context, $payload) = @_;
    my @files = map { open my $file, '+>', undef or die "a log: $!\n"; $file } 1, 2;
    open my $out, '>&', \*STDOUT;
    open my $err, '>&', \*STDERR;
    open STDOUT, '>&', $files[0];
    open STDERR, '>&', $files[1];
    my ($kind, $text) = call($handler, $context, $payload, $most);
    open STDOUT, '>&', $out;
    open STDERR, '>&', $err;
    my %logs;
    @logs{qw(stdout stderr)} = map { lines($_) } @files;
    return ($kind, $text, \%logs);
}

sub lines {
    my $file = shift;
    seek $file, 0, 0;
    read $file, my $text, $most_log + 1;
    my $cut = length $text > $most_log;
    $text = substr $text, 0, $most_log;
    utf8::decode($text);
    my @lines = split /\r?\n/, $text;
    push @lines, "[dispatch: log cut after $most_log bytes]" if $cut;
    return \@lines;
}

sub refuse {
    my ($client, $status, $words) = @_;
    chomp $words;
    my $error = { type => 'InputError', message => $words, stacktrace => [] };
    reply_call($client, $status, $error, 'null', { stdout => [], stderr => [] });
}

sub reply_call {
    my ($client, $status, $error, $payload, $logs) = @_;
    my $context = Json::encode({ error => $error, logs => $logs });
    reply($client, $status, "{\"context\":$context,\"payload\":$payload}");
}

sub reply {
    my ($client, $status, $body) = @_;
    my $length = length $body;
    write_all($client, "HTTP/1.1 $status\r\nContent-Type: application/json\r\n"
        . "Content-Length: $length\r\nConnection: close\r\n\r\n$body");
}
