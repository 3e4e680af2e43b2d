package Json;
# JSON as Perl has it: objects are hashes, arrays are arrays, null is undef, and true and false are
# objects that behave as 1 and ''. A small Perl comes without a module for it.
use strict;
use warnings;
# The depth has a limit of its own.
no warnings 'recursion';

package Json::Bool {
    use overload 'bool' => sub { ${ $_[0] } }, '0+' => sub { ${ $_[0] } },
        '""' => sub { ${ $_[0] } ? 1 : '' }, fallback => 1;
}

our ($true, $false) = (bless(\(my $t = 1), 'Json::Bool'), bless(\(my $f = 0), 'Json::Bool'));
my $max_depth = 512;
my %escaped = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f", map { $_ => $_ } qw(" \\ /));
my %escape = ("\n" => '\n', "\t" => '\t', "\r" => '\r', "\b" => '\b', "\f" => '\f',
    '"' => '\"', '\\' => '\\\\');

# Of bytes in UTF-8; dies with what was expected.
sub decode {
    local $_ = shift;
    utf8::decode($_) or die "JSON: it is not UTF-8\n";
    my $value = value(0);
    /\G\s*\z/gc or expected('the end');
    return $value;
}

sub expected { die 'JSON: expected ' . shift . ' at ' . (pos($_) // 0) . "\n" }

sub value {
    my $depth = shift;
    die "JSON is nested too deeply\n" if $depth > $max_depth;
    /\G\s*/gc;
    return string() if substr($_, pos // 0, 1) eq '"';
    return object($depth) if /\G\{/gc;
    return array($depth) if /\G\[/gc;
    return $true if /\Gtrue/gc;
    return $false if /\Gfalse/gc;
    return undef if /\Gnull/gc;
    return 0 + $1 if /\G(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/gc;
    expected('a value');
}

sub object {
    my ($depth, %object) = shift;
    return {} if /\G\s*\}/gc;
    while (1) {
        /\G\s*/gc;
        my $key = string();
        /\G\s*:/gc or expected("':'");
        $object{$key} = value($depth + 1);
        next if /\G\s*,/gc;
        return \%object if /\G\s*\}/gc;
        expected("',' or '}'");
    }
}

sub array {
    my ($depth, @array) = shift;
    return [] if /\G\s*\]/gc;
    while (1) {
        push @array, value($depth + 1);
        next if /\G\s*,/gc;
        return \@array if /\G\s*\]/gc;
        expected("',' or ']'");
    }
}

sub string {
    /\G"/gc or expected('a string');
    my $text = '';
    while (1) {
        if (/\G([^"\\\x00-\x1f]+)/gc) { $text .= $1 }
        elsif (/\G"/gc) { return $text }
        elsif (/\G\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)/gc) {
            $text .= chr(0x10000 + ((hex($1) - 0xd800) << 10) + hex($2) - 0xdc00);
        }
        elsif (/\G\\u([0-9a-fA-F]{4})/gc) { $text .= chr hex $1 }
        elsif (/\G\\(["\\\/bfnrt])/gc) { $text .= $escaped{$1} }
        else { expected('the rest of a string') }
    }
}

# To bytes in UTF-8.
sub encode {
    my $text = text(shift, 0);
    utf8::encode($text);
    return $text;
}

sub text {
    my ($value, $depth) = @_;
    die "the result is nested too deeply, or holds itself\n" if $depth > $max_depth;
    return 'null' if !defined $value;
    my $kind = ref $value;
    return $$value ? 'true' : 'false' if $kind eq 'Json::Bool';
    return '[' . join(',', map { text($_, $depth + 1) } @$value) . ']' if $kind eq 'ARRAY';
    if ($kind eq 'HASH') {
        my @pairs = map { quoted($_) . ':' . text($value->{$_}, $depth + 1) } sort keys %$value;
        return '{' . join(',', @pairs) . '}';
    }
    die "the result is not JSON: it holds a $kind\n" if $kind;
    # Only of a number the bits without themselves are the number 0.
    my $bits = utf8::is_utf8($value) ? '' : do { no warnings; $value ^ $value };
    my $number = $bits eq '0' && $value =~ /^-?[0-9]/;
    return $number ? "$value" : quoted($value);
}

sub quoted {
    my $text = shift;
    $text =~ s/(["\\\n\t\r\x08\f])/$escape{$1}/g;
    $text =~ s/([\x00-\x1f])/sprintf '\u%04x', ord $1/ge;
    return "\"$text\"";
}

1;
