# A handler: `dispatch create function hello hello.pl --image perl --handler hello.handle`.
use strict;
use warnings;

sub handle {
    my ($context, $payload) = @_;
    my $name = $payload->{name} // 'Noone';
    print "greeting $name\n";
    return { greeting => "Hello, $name" };
}

1;
